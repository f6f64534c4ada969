package host

import (
	"context"
	"os"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/features"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
)

// Features implements director.Kernel.
func (Host) Features(ctx context.Context) kernel.Features {
	return features.Find(ctx, features.Host{Release: features.Release(), Root: os.DirFS("/"), IPVS: askIPVS})
}

func askIPVS(ctx context.Context) (features.IPVS, error) {
	s, err := ipvs.Ask(ctx)
	return features.IPVS{
		Version: s.Version, Buckets: s.ConnTableSize, IPv6: s.IPv6, Stats64: s.Stats64, Tunnels: s.Tunnels, SyncOptions: s.SyncOptions,
	}, err
}
