package director

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// quietFor is for how long a director that has become MASTER resets no connection that it does not know: until the former MASTER,
// which keeps the addresses for vrrp.RetainFor at most, has sent the last ones.
const quietFor = vrrp.RetainFor + time.Second

// quietVIPs decides on which virtual addresses unknown connections are not reset: on those of instances that are not MASTER, which
// concerns no packet, and for a moment after they have become MASTER. The rules are there before the first packet comes. Only those
// of plan.Quiet.Own come when the instance is MASTER, because before that this machine is a real server there. Its methods may
// be called from any goroutine and do not block.
type quietVIPs struct {
	loop *reconcile.RuleTable[kernel.Quiet]

	mu    sync.Mutex // guards all below; held while the loop is told, so that it is told the newest last
	want  plan.Quiet
	since map[config.InstanceID]time.Time // MASTER since then
}

func newQuietVIPs(k reconcile.RuleKernel[kernel.Quiet], log *slog.Logger) *quietVIPs {
	const without = "a connection that is being opened while virtual addresses move may be reset"
	return &quietVIPs{loop: reconcile.NewOptionalRuleTable(k, kernel.QuietTable, without, log), since: map[config.InstanceID]time.Time{}}
}

// set makes this what the cluster file wants.
func (q *quietVIPs) set(want plan.Quiet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.want = want
	q.loop.SetSoon(q.rules(time.Now()))
}

// setSync makes this the synchronization that is wanted, and what goes with it.
func (l *loops) setSync(p *plan.Plan) {
	l.sync.set(p.Sync)
	l.quiet.set(p.Quiet)
}

// moved takes in the new state of an instance.
func (q *quietVIPs) moved(id config.InstanceID, state string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.since, id)
	if state == vrrp.Master.String() {
		q.since[id] = time.Now()
		time.AfterFunc(quietFor, q.tell)
	}
	q.loop.SetSoon(q.rules(time.Now()))
}

func (q *quietVIPs) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loop.SetSoon(q.rules(time.Now()))
}

// rules returns what is quiet now. mu is held.
func (q *quietVIPs) rules(now time.Time) (rules kernel.Quiet) {
	for id, addresses := range q.want.Addresses {
		since, master := q.since[id]
		for _, a := range addresses {
			_, own := slices.BinarySearchFunc(q.want.Own, a, netip.Addr.Compare)
			if !master && !own || master && now.Sub(since) < quietFor {
				rules.Addresses = append(rules.Addresses, a)
			}
		}
	}
	slices.SortFunc(rules.Addresses, netip.Addr.Compare)
	rules.Addresses = slices.Compact(rules.Addresses)
	return rules
}
