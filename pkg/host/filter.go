package host

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/neighbours"
	"github.com/lvs-director/lvs-director/pkg/kernel/nftable"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// tables says whether this process may have put a table into the kernel.
type tables struct{ put atomic.Bool }

// ours is of all tables of this process.
var ours tables

// putting is called before a table is put, because a put that fails may have been done.
func (t *tables) putting() { t.put.Store(true) }

// none reports whether there is no table to remove: then nf_tables is not loaded for it. known reports whether the kernel has
// nf_tables; it may be wrong where the list of what is built in is missing, as in a container.
func (t *tables) none(known func() bool) bool { return !t.put.Load() && !known() }

// rules keeps a table without loading nf_tables for nothing.
type rules[C any] struct{ nftable.Rules[C] }

// Put implements reconcile.RuleKernel.
func (r rules[C]) Put(ctx context.Context, c C) error {
	ours.putting()
	return r.Rules.Put(ctx, c)
}

// Remove does not load nf_tables: without it there is no table.
func (r rules[C]) Remove(ctx context.Context) (bool, error) {
	if ours.none(firewall.HasNFTables) {
		return false, nil
	}
	return r.Rules.Remove(ctx)
}

// marking gives packets firewall marks.
type marking struct {
	rules[kernel.Marking]
	known map[netip.Addr]kernel.HardwareAddr // the last ones of directors; a director that does not answer keeps its own
	asked bool                               // the neighbours have been waited for
}

// At the start the directors get a moment to answer, so that the first rules have their hardware addresses.
const (
	resolveTries = 5
	resolvePause = 10 * time.Millisecond
)

// Complete implements reconcile.RuleCompleter.
func (m *marking) Complete(ctx context.Context, c kernel.Marking) (completed kernel.Marking, lacking []netip.Addr, err error) {
	if len(c.Directors) == 0 {
		return c, nil, nil
	}
	if m.known == nil {
		m.known = map[netip.Addr]kernel.HardwareAddr{}
	}
	for try := range resolveTries {
		var found map[netip.Addr]kernel.HardwareAddr
		if found, err = neighbours.HardwareAddrs(c.Directors); err != nil {
			break
		}
		maps.Copy(m.known, found)
		if m.asked || try == resolveTries-1 || len(m.unknown(c.Directors)) == 0 {
			break
		}
		task.Pause(ctx, resolvePause)
	}
	m.asked = true
	for _, d := range c.Directors {
		if a, is := m.known[d]; is && !slices.Contains(c.Hardware, a) {
			c.Hardware = append(slices.Clone(c.Hardware), a)
		}
	}
	slices.SortFunc(c.Hardware, func(a, b kernel.HardwareAddr) int { return bytes.Compare(a[:], b[:]) })
	return c, m.unknown(c.Directors), err
}

// unknown returns the directors whose hardware address is not known.
func (m *marking) unknown(of []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(of), func(d netip.Addr) bool { _, is := m.known[d]; return is })
}
