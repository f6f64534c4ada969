package host

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
)

// syncDaemons implements reconcile.SyncDaemonKernel.
type syncDaemons struct{ ipvs.SyncDaemons }

// List returns no daemons if the kernel has no IPVS: they end with the module.
func (s *syncDaemons) List(ctx context.Context) ([]kernel.SyncDaemon, error) {
	all, err := s.SyncDaemons.List(ctx)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		return nil, nil
	}
	return all, err
}
