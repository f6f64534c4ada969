package lvs

import "fmt"

// OpKind is what an Op does.
type OpKind int

// The steps that a table takes. The zero OpKind is none of them.
const (
	AddService OpKind = iota + 1
	UpdateService
	DeleteService
	AddServer
	UpdateServer
	DeleteServer
)

// Op is one step from a table to another.
type Op struct {
	Kind    OpKind
	Service Service // its Servers mean nothing here; every step on a server has its own Op
	Server  Server  // zero for steps on a service
}

// String is the ipvsadm command line that does the same.
func (o Op) String() string {
	key := o.Service.Key.rule()
	switch o.Kind {
	case AddService:
		return fmt.Sprintf("ipvsadm -A %s%s", key, o.Service.rule())
	case UpdateService:
		return fmt.Sprintf("ipvsadm -E %s%s", key, o.Service.rule())
	case DeleteService:
		return fmt.Sprintf("ipvsadm -D %s", key)
	case AddServer:
		return fmt.Sprintf("ipvsadm -a %s -r %s%s", key, o.Server.AddrPort(), o.Server.rule())
	case UpdateServer:
		return fmt.Sprintf("ipvsadm -e %s -r %s%s", key, o.Server.AddrPort(), o.Server.rule())
	case DeleteServer:
		return fmt.Sprintf("ipvsadm -d %s -r %s", key, o.Server.AddrPort())
	default:
		return fmt.Sprintf("# unknown step %d on %s", o.Kind, o.Service.Key)
	}
}
