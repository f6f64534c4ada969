package host

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
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

// OpenSync implements director.Kernel.
func (Host) OpenSync(at syncsock.Address) (syncpeers.Socket, error) {
	s, err := syncsock.Open(at)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Connections implements director.Kernel. There are none without IPVS.
func (Host) Connections(ctx context.Context, each func(lvs.Connection)) error {
	err := ipvs.Connections(ctx, each)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		return nil
	}
	return err
}

// ConnectionStates implements director.Kernel. There are none without IPVS.
func (Host) ConnectionStates(ctx context.Context, each func(c lvs.Connection, state string)) error {
	err := ipvs.States(ctx, each)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		return nil
	}
	return err
}
