package host

import (
	"context"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/director"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/bfdsock"
	"github.com/lvs-director/lvs-director/pkg/kernel/clock"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/kernel/maclink"
	"github.com/lvs-director/lvs-director/pkg/kernel/marks"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/quiet"
	"github.com/lvs-director/lvs-director/pkg/kernel/resident"
	"github.com/lvs-director/lvs-director/pkg/kernel/returnpath"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/kernel/routing"
	"github.com/lvs-director/lvs-director/pkg/kernel/sourcenat"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/kernel/vipfilter"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
	"github.com/lvs-director/lvs-director/pkg/liveness"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/replication"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Host is the host that this process runs on.
type Host struct {
	// Commands runs the commands of tracks and hooks. nil: they are not run.
	Commands *command.Runner
}

// Addresses implements director.Kernel.
func (Host) Addresses() (director.Addresses, error) {
	h, err := addr.Open()
	if err != nil { // return a nil interface, not an interface with a nil *Handle; likewise below
		return nil, err
	}
	return h, nil
}

// Routing implements director.Kernel.
func (Host) Routing() (director.Routing, error) {
	h, err := routing.Open()
	if err != nil {
		return nil, err
	}
	return h, nil
}

// VirtualLinks implements director.Kernel.
func (Host) VirtualLinks() (director.VirtualLinks, error) {
	h, err := maclink.Open()
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Announcer implements director.Kernel.
func (Host) Announcer() director.Announcer { return newAnnouncer() }

// Socket implements director.Kernel.
func (Host) Socket(on vrrp.Segment) (election.Socket, error) {
	s, err := openSocket(on)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ListenBFD implements director.Kernel.
func (Host) ListenBFD(on vrrp.Segment) (liveness.Listener, error) {
	l, err := bfdsock.Listen(on)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// DialBFD implements director.Kernel.
func (Host) DialBFD(on vrrp.Segment, source, neighbour netip.Addr) (liveness.Sender, error) {
	s, err := bfdsock.Dial(on, source, neighbour)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// VRRPDaemons implements director.Kernel.
func (Host) VRRPDaemons() ([]string, error) { return vrrpsock.Daemons() }

// Advertised implements director.Kernel.
func (Host) Advertised(within time.Duration) (map[string][]uint8, error) {
	found, err := vrrpsock.Outgoing(within)
	all := make(map[string][]uint8, len(found))
	for r := range found {
		all[r.Interface] = append(all[r.Interface], r.VRID)
	}
	return all, err
}

// Hear implements director.Kernel.
func (Host) Hear(ctx context.Context, on vrrp.Segment, source netip.Addr, targets []netip.Addr, every time.Duration) error {
	if gateway, err := route.Gateway(source); err == nil && gateway.IsValid() { // otherwise the targets must do
		targets = append([]netip.Addr{gateway}, targets...)
	}
	return neigh.Hear(ctx, on.Interface, source, targets, every)
}

// Watch implements director.Kernel.
func (Host) Watch(ctx context.Context, deliver func(addr.Event)) error {
	return addr.Watch(ctx, deliver)
}

// Sysctls implements director.Kernel.
func (Host) Sysctls() reconcile.SysctlKernel {
	return settings{sysctl.Proc(), ipvs.GetTimeouts, ipvs.SetTimeouts}
}

// SyncDaemons implements director.Kernel.
func (Host) SyncDaemons() reconcile.SyncDaemonKernel { return new(syncDaemons) }

// VIPFilter implements director.Kernel.
func (Host) VIPFilter() reconcile.RuleKernel[kernel.Closed] {
	return rules[kernel.Closed]{vipfilter.Table()}
}

// Marks implements director.Kernel.
func (Host) Marks() reconcile.RuleKernel[kernel.Marking] {
	return &marking{rules: rules[kernel.Marking]{marks.Table()}}
}

// SourceNAT implements director.Kernel.
func (Host) SourceNAT() reconcile.RuleKernel[kernel.SourceNAT] {
	return rules[kernel.SourceNAT]{sourcenat.Table()}
}

// ReturnPath implements director.Kernel.
func (Host) ReturnPath() reconcile.RuleKernel[kernel.ReturnPath] {
	return rules[kernel.ReturnPath]{returnpath.Table()}
}

// QuietFilter implements director.Kernel.
func (Host) QuietFilter() reconcile.RuleKernel[kernel.Quiet] {
	return rules[kernel.Quiet]{quiet.Table()}
}

// KeepResident implements director.Kernel.
func (Host) KeepResident() error {
	_, err := resident.Lock()
	return err
}

// ConnectionBuckets implements director.Kernel.
func (Host) ConnectionBuckets(ctx context.Context) (int, error) {
	info, err := ipvs.Probe(ctx)
	return info.ConnTableSize, err
}

// FindIPVS implements director.Kernel.
func (Host) FindIPVS(ctx context.Context) error {
	_, err := ipvs.Probe(ctx)
	return err
}

// Balancer implements director.Kernel.
func (Host) Balancer() (director.Balancer, error) {
	t, err := ipvs.Open()
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Services implements director.Kernel.
func (Host) Services() ([]lvs.Service, error) { return ipvs.Snapshot() }

// Fingerprint implements director.Kernel.
func (Host) Fingerprint() (uint64, error) { return ipvs.Fingerprint() }

// Source implements director.Kernel.
func (Host) Source(target netip.AddrPort) (netip.Addr, error) { return route.Source(target) }

// Suspended implements director.Kernel.
func (Host) Suspended() time.Duration { return clock.Suspended() }

// Firewall implements director.Kernel.
func (Host) Firewall(ctx context.Context, family kernel.Family) (firewall.Rules, error) {
	return firewall.Read(ctx, family)
}

// Undelivered implements director.Kernel.
func (Host) Undelivered(all []kernel.IfAddr) ([]kernel.IfAddr, error) { return route.Undelivered(all) }

// RouteInterface implements director.Kernel.
func (Host) RouteInterface(to netip.Addr) (string, error) { return route.Interface(to) }

// NextHop implements director.Kernel.
func (Host) NextHop(to netip.Addr) (netip.Addr, error) { return route.NextHop(to) }

// Router implements director.Kernel.
func (Host) Router(ctx context.Context, to netip.Addr) netip.Addr { return probe.Router(ctx, to) }

// Positions implements director.Kernel.
func (Host) Positions(ctx context.Context, t *probe.Target) (replication.Positions, error) {
	return probe.Positions(ctx, t)
}

// Hold implements director.Kernel.
func (Host) Hold(ctx, until context.Context, t *probe.Target, limit time.Duration, opened func()) probe.Result {
	return probe.Hold(ctx, until, t, limit, opened)
}

// Probe implements director.Kernel.
func (h Host) Probe(ctx context.Context, t *probe.Target) probe.Result {
	means := probe.Means{Resolve: resolve}
	if h.Commands != nil {
		means.Run = h.run
	}
	return means.Make(ctx, t)
}
