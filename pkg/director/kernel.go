package director

import (
	"context"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Kernel is everything that a director does to its machine and to the network; package host has the real one. Each call
// has a deadline of its own, or takes one.
type Kernel interface {
	// Addresses opens a way to interfaces and addresses that waits for no other one.
	Addresses() (Addresses, error)
	// Announcer makes a sender of gratuitous ARP.
	Announcer() Announcer
	// Socket opens a VRRP socket on a segment.
	Socket(on vrrp.Segment) (election.Socket, error)
	// Watch delivers address and link events until ctx ends; an error is returned only when it cannot begin.
	Watch(ctx context.Context, deliver func(addr.Event)) error
	Sysctls() reconcile.SysctlKernel
	// FindIPVS asks the kernel for IPVS: nil, or ipvs.ErrNoIPVS.
	FindIPVS(ctx context.Context) error
	// Balancer opens the IPVS table.
	Balancer() (Balancer, error)
	// Services reads the IPVS table cheaply, with its counters.
	Services() ([]lvs.Service, error)
	// Suspended is for how long the machine has been suspended in all.
	Suspended() time.Duration
	// Probe makes one check, until ctx ends at the latest.
	Probe(ctx context.Context, t probe.Target) probe.Result
}

// Addresses are the interfaces and addresses of this machine.
type Addresses interface {
	reconcile.AddressKernel
	Links() ([]kernel.Link, error)
	// List lists the addresses of all interfaces when iface is "".
	List(iface string) ([]kernel.Address, error)
	Close() error
}

// Announcer sends gratuitous ARP. It belongs to one goroutine.
type Announcer interface {
	reconcile.Announcer
	Close() error
}

// Balancer is the IPVS table.
type Balancer interface {
	reconcile.TableKernel
	// Scheduler says whether the kernel has a scheduler: nil, or ipvs.ErrNoScheduler.
	Scheduler(ctx context.Context, name string) error
	Close() error
}

// kernelWithin bounds one conversation with the kernel outside the loops.
const kernelWithin = 15 * time.Second
