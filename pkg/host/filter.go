package host

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/marks"
	"github.com/lvs-director/lvs-director/pkg/kernel/quiet"
	"github.com/lvs-director/lvs-director/pkg/kernel/vipfilter"
)

// filter is the packet filter of the virtual addresses.
type filter struct{ vipfilter.Table }

// Remove does not load nf_tables: without it there is no table.
func (f filter) Remove(ctx context.Context) (bool, error) {
	if !firewall.HasNFTables() {
		return false, nil
	}
	return f.Table.Remove(ctx)
}

// marking gives packets firewall marks.
type marking struct{ marks.Table }

// Remove does not load nf_tables: without it there is no table.
func (m marking) Remove(ctx context.Context) (bool, error) {
	if !firewall.HasNFTables() {
		return false, nil
	}
	return m.Table.Remove(ctx)
}

// quietFilter is the packet filter of unknown connections.
type quietFilter struct{ quiet.Table }

// Remove does not load nf_tables either.
func (f quietFilter) Remove(ctx context.Context) (bool, error) {
	if !firewall.HasNFTables() {
		return false, nil
	}
	return f.Table.Remove(ctx)
}
