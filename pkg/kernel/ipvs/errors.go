package ipvs

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Errors that callers branch on. Each ends with the remedy if there is one.
var (
	ErrNoIPVS = errors.New("this kernel has no IPVS: load the module ip_vs (modprobe ip_vs; " +
		"a line ip_vs in /etc/modules-load.d/lvs-director.conf loads it at every boot)")
	errNotPermitted = fmt.Errorf("%w to use IPVS: run as root or with CAP_NET_ADMIN", kernel.ErrNotPermitted)
	// ErrNoScheduler is wrapped with the scheduler's name and its module.
	ErrNoScheduler = errors.New("this kernel has no IPVS scheduler")
	// ErrNoEngine is wrapped with the engine's name and its module.
	ErrNoEngine = errors.New("this kernel has no IPVS persistence engine")

	// The table is not as the caller assumed: read it again.
	ErrExists    = errors.New("it is in the table already")
	ErrNoService = errors.New("there is no such virtual server in the table")
	ErrNoServer  = errors.New("there is no such real server in its pool")

	// ErrBadAddress: the kernel refuses the address of a real server (ip_vs_new_dest).
	ErrBadAddress = errors.New("the kernel refuses the address of the real server: it must be a unicast address or one of " +
		"this machine, and the interface lo must be up (ip link set lo up)")

	// ErrBusy: an earlier call exceeded its deadline, and the kernel has not returned from it yet.
	ErrBusy = errors.New("the kernel is still processing an earlier IPVS request: look for a hanging modprobe")
)

// errReloaded: the kernel unloaded IPVS, with the table, and loaded it again.
var errReloaded = errors.New("the module ip_vs was reloaded: try again")

// errMalformed: an answer violates the kernel's protocol.
var errMalformed = errors.New("malformed netlink message")

func noScheduler(name string) error {
	return fmt.Errorf("%w %q: load the module ip_vs_%s (modprobe ip_vs_%s; a line in /etc/modules-load.d/lvs-director.conf "+
		"loads it at every boot)", ErrNoScheduler, name, name, name)
}

func noEngine(name string) error {
	return fmt.Errorf("%w %q: load the module ip_vs_pe_%s (modprobe ip_vs_pe_%s; a line in /etc/modules-load.d/lvs-director.conf "+
		"loads it at every boot)", ErrNoEngine, name, name, name)
}

// OpError is an operation that the kernel refused.
type OpError struct {
	Op  lvs.Op
	Err error // one of the package's sentinels, or a unix.Errno
}

// Error names the virtual server, and the real server if the operation was about one.
func (e *OpError) Error() string {
	virtual, real := e.Op.Service.Key, e.Op.Server.AddrPort()
	step := map[lvs.OpKind]string{
		lvs.AddService:    fmt.Sprintf("add virtual server %s", virtual),
		lvs.UpdateService: fmt.Sprintf("update virtual server %s", virtual),
		lvs.DeleteService: fmt.Sprintf("delete virtual server %s", virtual),
		lvs.AddServer:     fmt.Sprintf("add real server %s to virtual server %s", real, virtual),
		lvs.UpdateServer:  fmt.Sprintf("update real server %s of virtual server %s", real, virtual),
		lvs.DeleteServer:  fmt.Sprintf("delete real server %s from virtual server %s", real, virtual),
	}[e.Op.Kind]
	return fmt.Sprintf("ipvs: %s: %v", step, e.Err)
}

func (e *OpError) Unwrap() error { return e.Err }

// Refusals are the operations of one Apply that the kernel refused, in order; never empty as an error. errors.Is and
// errors.As check each.
type Refusals []*OpError

// Error contains the first three.
func (r Refusals) Error() string {
	var texts []string
	for i, e := range r {
		if i == 3 {
			texts = append(texts, fmt.Sprintf("and %d more", len(r)-i))
			break
		}
		texts = append(texts, e.Error())
	}
	return strings.Join(texts, "; ")
}

func (r Refusals) Unwrap() []error {
	errs := make([]error, len(r))
	for i, e := range r {
		errs[i] = e
	}
	return errs
}

// meaning translates an errno depending on the operation, because IPVS uses ENOENT for two conditions
// (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_genl_set_cmd and what it calls).
func meaning(op lvs.Op, errno unix.Errno) error {
	onServer := op.Kind == lvs.AddServer || op.Kind == lvs.UpdateServer || op.Kind == lvs.DeleteServer
	switch {
	case errno == unix.EPERM:
		return errNotPermitted
	case errno == unix.EEXIST:
		return ErrExists
	case errno == unix.ESRCH:
		return ErrNoService
	case errno == unix.ENOENT && onServer:
		return ErrNoServer
	case errno == unix.ENOENT && op.Service.Engine != "": // or the scheduler, which is much less likely to be missing
		return noEngine(op.Service.Engine)
	case errno == unix.ENOENT:
		return noScheduler(op.Service.Scheduler)
	case errno == unix.EINVAL && op.Kind == lvs.AddServer:
		return ErrBadAddress
	default:
		return errno
	}
}
