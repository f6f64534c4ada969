package lvs

import "fmt"

// OpKind is the kind of an Op.
type OpKind int

// The kinds of operations on a table. The zero OpKind is none of them.
const (
	AddService OpKind = iota + 1
	UpdateService
	DeleteService
	AddServer
	UpdateServer
	DeleteServer
)

// Op is one operation on a table.
type Op struct {
	Kind    OpKind
	Service Service // its Servers are ignored; every operation on a server is a separate Op
	Server  Server  // zero for operations on a service
}

// String returns the equivalent ipvsadm command line.
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
		return fmt.Sprintf("ipvsadm -a %s -r %s%s", key, o.Server.AddrPort(), o.Server.rule()+o.Server.thresholds())
	case UpdateServer:
		return fmt.Sprintf("ipvsadm -e %s -r %s%s", key, o.Server.AddrPort(), o.Server.rule()+o.Server.thresholds())
	case DeleteServer:
		return fmt.Sprintf("ipvsadm -d %s -r %s", key, o.Server.AddrPort())
	default:
		return fmt.Sprintf("# unknown step %d on %s", o.Kind, o.Service.Key)
	}
}
