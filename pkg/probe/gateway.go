package probe

import (
	"context"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// Gateway asks the target, whose address is Target.Address.
func (p *prober) Gateway(c config.GatewayCheck) {
	if c.ARP {
		p.result = Neighbour(p.ctx, p.target, p.means.Resolve)
		return
	}
	p.result = Ping(p.ctx, p.target)
}

// Neighbour asks for the hardware address of a target on the network of its source. It shows that the host is there, even
// if it drops ICMP.
func Neighbour(ctx context.Context, t *Target, resolve func(ctx context.Context, source, target netip.Addr) (string, error)) Result {
	watch := start(ctx, "arp")
	if resolve == nil {
		return watch.result(health.Local, health.Unknown, "nothing here can send ARP")
	}
	hardware, err := resolve(ctx, t.Source, t.Address.Addr())
	if err != nil {
		code, class, sentence := classify(err, watch.limit)
		return watch.result(code, class, t.Address.Addr().String()+": "+sentence)
	}
	return watch.good(t.Address.Addr().String() + " answered with " + hardware)
}
