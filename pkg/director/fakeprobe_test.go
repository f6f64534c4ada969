package director

import (
	"cmp"
	"context"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// Source returns an address on the target's network, or else the first one.
func (k *fakeKernel) Source(target netip.AddrPort) (netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.addresses) == 0 {
		return netip.Addr{}, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	k.lookups++
	if preferred, told := k.routes[target.Addr()]; told {
		return preferred, nil
	}
	for _, a := range k.addresses {
		if a.Prefix.Contains(target.Addr()) {
			return a.Prefix.Addr(), nil
		}
	}
	return k.addresses[0].Prefix.Addr(), nil
}

func (k *fakeKernel) RouteInterface(to netip.Addr) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return cmp.Or(k.route, interfaceOf(to, k.addresses)), nil
}

func (k *fakeKernel) NextHop(to netip.Addr) (netip.Addr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hops[to], nil
}

// Router is the next hop, if that is a router that says so.
func (k *fakeKernel) Router(_ context.Context, to netip.Addr) netip.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.quietHops[k.hops[to]] {
		return netip.Addr{}
	}
	return k.hops[to]
}

// Positions are k.positions, or its error.
func (k *fakeKernel) Positions(context.Context, *probe.Target) (replication.Positions, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.positions, k.positionsError
}

// Hold keeps a connection that nobody ends.
func (k *fakeKernel) Hold(_, until context.Context, _ *probe.Target, _ time.Duration, opened func()) probe.Result {
	opened()
	<-until.Done()
	return health.Result{Code: health.Local, Cause: "the check was cancelled"}
}

func (k *fakeKernel) Probe(ctx context.Context, t *probe.Target) probe.Result {
	k.mu.Lock()
	k.probed[t.Address.Addr()] = t.Source
	r, told := k.answers[t.Address.Addr()]
	if c, asked := t.Kind.(config.GatewayCheck); asked && c.ARP && !told { // another director, of which there is none
		r, told = health.Result{Code: health.Timeout, Class: health.Bad}, true
	}
	preferred, known := k.routes[t.Address.Addr()]
	lost := k.strict && known && t.Source != preferred
	k.mu.Unlock()
	if lost {
		<-ctx.Done()
		return health.Result{Code: health.Timeout, Class: health.Bad, Cause: "tcp: no answer"}
	}
	if told {
		time.Sleep(r.Took)
		return r
	}
	return health.Result{Code: health.OK, Class: health.Good, Cause: "tcp: connected"}
}

// probedFrom is the source of the last probe of a server.
func (k *fakeKernel) probedFrom(server string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.probed[netip.MustParseAddr(server)].String()
}

// prefer makes an address the preferred source of the route to a server.
func (k *fakeKernel) prefer(source, server string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.routes[netip.MustParseAddr(server)] = netip.MustParseAddr(source)
}

// refuses makes a server refuse connections, or accept them again.
func (k *fakeKernel) refuses(server string, yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if yes {
		k.answers[netip.MustParseAddr(server)] = health.Result{Code: health.Refused, Class: health.Bad, Cause: "tcp: refused"}
		return
	}
	delete(k.answers, netip.MustParseAddr(server))
}

// lookedUp is the number of look-ups of routes.
func (k *fakeKernel) lookedUp() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lookups
}
