package host

import (
	"context"
	"os"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/features"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
)

// asker is one for the process, because it has one kernel.
var asker = features.NewAsker(func(ctx context.Context) kernel.Features {
	return features.Find(ctx, features.Host{Release: features.Release(), Root: os.DirFS("/"), IPVS: askIPVS})
})

// Features implements director.Kernel.
func (Host) Features(ctx context.Context) kernel.Features { return asker.Features(ctx) }

func askIPVS(ctx context.Context) (features.IPVS, error) {
	s, err := ipvs.Ask(ctx)
	return features.IPVS{
		Version: s.Version, Buckets: s.ConnTableSize, IPv6: s.IPv6, Stats64: s.Stats64, Tunnels: s.Tunnels, SyncOptions: s.SyncOptions,
	}, err
}
