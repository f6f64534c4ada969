package director

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// openVIPs removes the packet filter rules of the virtual addresses, when these are gone.
func openVIPs(k reconcile.VIPFilterKernel, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	removed, err := k.Remove(ctx)
	if err != nil {
		return fmt.Errorf("remove the packet filter of the virtual addresses: %w (nft delete table inet %s)", err, kernel.ClosedTable)
	}
	if removed {
		log.Info("removed the packet filter of the virtual addresses", "table", kernel.ClosedTable)
	}
	return nil
}
