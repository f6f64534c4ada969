package director

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// What the kernel's daemons do without maxlen (start_sync_thread).
const (
	syncHeaders = 28 // of IPv4 and UDP, in bytes
	syncSends   = 1500 - syncHeaders
)

// syncReceives returns the size of the largest message that the kernel's daemon receives, in bytes.
func syncReceives(want plan.ConnectionSync) int {
	return cmp.Or(int(want.Daemon.MaxLen), min(max(want.MTU, 1500), 65535)-syncHeaders)
}

// exchange returns what the loop of the connections of other directors does.
func exchange(want plan.ConnectionSync) syncpeers.Wanted {
	if !want.Wanted() {
		return syncpeers.Wanted{}
	}
	return syncpeers.Wanted{
		At: syncsock.Address{
			Interface: want.Daemon.Interface, Source: want.Source, Group: netip.AddrPortFrom(want.Daemon.Group, want.Daemon.Port), TTL: want.Daemon.TTL,
		},
		Bound: want.Bound(), ID: want.Daemon.ID, MaxLen: cmp.Or(int(want.Daemon.MaxLen), syncSends), Receives: syncReceives(want),
	}
}

// role is called whenever the loop wakes up.
func (c *connectionSync) role() syncpeers.Role {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.read(c.file()) {
		c.turn++
	}
	return syncpeers.Role{
		Turn:   c.turn,
		Master: slices.Contains(slices.Collect(maps.Values(c.masters)), true),
		Sends:  c.runs(kernel.SyncMaster), Learns: c.runs(kernel.SyncBackup),
	}
}

// syncLackingAfter is for how long a standby must lack connections before that is a problem: they are sent again in this time.
// It is between readings of the connections, which may be minutes apart if there are many.
const syncLackingAfter = 15 * time.Second

// exchangeProblems returns what is wrong between the directors.
func exchangeProblems(s snapshots, now time.Time) []problem.Finding {
	x := s.exchange
	if !x.Running {
		return nil
	}
	var found []problem.Finding
	add := func(code problem.Code, format string, args ...any) {
		found = append(found, problem.Finding{Code: code, Subject: "node", Text: "connection synchronization: " + fmt.Sprintf(format, args...)})
	}
	if x.Failed != "" {
		add(problem.SyncNotRunning, "nothing is known of what the other directors lack: %s", x.Failed)
		return found
	}
	on := s.plan.Sync.Daemon.Interface
	if x.TooLong.IsValid() {
		add(problem.SyncTooLong, "%s sends messages of %d bytes, and the daemon of this director receives %d: their connections are lost here",
			x.TooLong, x.Longest, syncReceives(s.plan.Sync))
	}
	if master := masterHeard(s, now, syncSilentAfter); master.IsValid() && !x.Silent.IsZero() {
		why := fmt.Sprintf("nothing is received from a MASTER on %s for %s, and %s is MASTER", on, now.Sub(x.Silent).Round(time.Second), master)
		if x.Strange.From.IsValid() {
			why += fmt.Sprintf("; %s sends with the id %d, and this director expects %d", x.Strange.From, x.Strange.ID, s.plan.Sync.Daemon.ID)
		}
		add(problem.SyncSilent, "%s", why)
		return found
	}
	if !x.Uncompared.IsZero() {
		add(problem.SyncNotRunning, "it is not known what this director lacks: its connections could not be compared with those of the MASTER for %s", now.Sub(x.Uncompared).Round(time.Second))
		return found
	}
	if x.Lacking > 0 && x.Compared.Sub(x.Since) >= syncLackingAfter {
		add(problem.SyncLacking, "this director lacks %d connections of the MASTER: they break if it takes over", x.Lacking)
	}
	return found
}

// syncSilentAfter is for how long an instance must be BACKUP before the MASTER's silence counts: another director that takes
// over says that it is MASTER within a second, and before nobody else was.
const syncSilentAfter = 10 * time.Second

// masterHeard returns the MASTER of an instance that has been BACKUP here for some time, which may be 0; invalid if there is
// none. If the daemons follow one instance, only its MASTER sends connections.
func masterHeard(s snapshots, now time.Time, after time.Duration) netip.Addr {
	for _, i := range s.plan.Instances {
		if s.plan.Sync.Follows != "" && s.plan.Sync.Follows != i.ID {
			continue
		}
		if a, runs := s.instances[i.ID]; runs && now.Sub(a.Since) >= after && a.State == vrrp.Backup && a.Master.IsValid() && a.MasterPriority != 0 {
			return a.Master
		}
	}
	return netip.Addr{}
}

// onlyMaster reports whether this director is MASTER, and hears no other one. Before its instances have decided it is not
// known whether there is another one.
func onlyMaster(s snapshots, now time.Time) bool {
	for _, a := range s.instances {
		if a.State == vrrp.Master {
			return !masterHeard(s, now, 0).IsValid()
		}
	}
	return false
}

// exchangeStatus is the synchronization of connections for the status; nil if there is none.
func exchangeStatus(s snapshots) *status.ConnectionSync {
	x := s.exchange
	if !x.Running {
		return nil
	}
	doc := &status.ConnectionSync{Held: x.Held, Learned: x.Others, Lacking: x.Lacking, Warm: !x.Cold, SentAgain: x.Again, Peers: []status.SyncPeer{}}
	doc.ReadingSeconds = x.Took.Seconds()
	for to, at := range map[**time.Time]time.Time{&doc.ReadAt: x.Read, &doc.ComparedAt: x.Compared} {
		if !at.IsZero() {
			*to = &at
		}
	}
	doc.NoMaster = x.Cold && onlyMaster(s, time.Now())
	for _, at := range slices.SortedFunc(maps.Keys(x.Peers), netip.Addr.Compare) {
		p := x.Peers[at]
		one := status.SyncPeer{Address: at.String(), LastHeard: p.Heard, Received: p.Entries, Director: !p.Noted.IsZero()}
		if one.Director {
			one.Uncounted = p.Note.Uncounted
			one.Master, one.Held, one.Learned, one.Lacking = p.Note.Master, p.Note.Held.Total(), p.Note.Others.Total(), p.Lacking
		}
		doc.Peers = append(doc.Peers, one)
	}
	return doc
}
