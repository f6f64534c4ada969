package director

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// connectionSync decides which synchronization daemons run, and tells their loop. Its methods may be called from any
// goroutine and do not block.
type connectionSync struct {
	daemons *reconcile.SyncDaemons
	peers   *syncpeers.Loop
	file    func() *config.Config // that is in use

	mu      sync.Mutex // guards all below; held while the loop is told, so that it is told the newest last
	want    plan.ConnectionSync
	masters map[config.InstanceID]bool
	index   servedIndex
	turn    uint64 // of the addresses that are held and served
	// learnsUntil is until when the daemon that learns runs on although the instance that it follows is MASTER: the former MASTER
	// sends its youngest connections.
	learnsUntil time.Time
}

// newConnectionSync makes the loops. changed is called when this director may have become warm.
func newConnectionSync(k Kernel, state *stateFile, file func() *config.Config, changed func(), log *slog.Logger) *connectionSync {
	return &connectionSync{
		daemons: reconcile.NewSyncDaemons(reconcile.SyncDaemonOptions{Kernel: k.SyncDaemons(), Records: state, Saved: state.saved, Log: log}),
		peers:   syncpeers.New(syncpeers.Options{Open: k.OpenSync, Connections: k.Connections, States: k.ConnectionStates, Changed: changed, Random: rand.Float64, Log: log}),
		file:    file,
		masters: map[config.InstanceID]bool{},
	}
}

// set makes this the synchronization that is wanted.
func (c *connectionSync) set(want plan.ConnectionSync) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = want
	c.tell()
	c.peers.Set(exchange(want), syncpeers.Ask{Served: c.served, Role: c.role})
}

// moved takes in the new state of an instance.
func (c *connectionSync) moved(id config.InstanceID, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if master := state == vrrp.Master.String(); master != c.masters[id] {
		c.masters[id] = master
		c.turn++
	}
	if c.want.Follows == id {
		if c.masters[id] {
			c.learnsUntil = time.Now().Add(quietFor)
			time.AfterFunc(quietFor, c.learned)
		}
		c.tell()
	}
}

// learned ends what a new MASTER learns of the former one.
func (c *connectionSync) learned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
}

// tell passes the daemons that are wanted to the loop. mu is held.
func (c *connectionSync) tell() {
	var all []reconcile.SyncDaemonWanted
	for _, role := range kernel.SyncRoles {
		learns := role == kernel.SyncBackup && c.want.Wanted() && time.Now().Before(c.learnsUntil)
		if !c.runs(role) && !learns {
			continue
		}
		d := c.want.Daemon
		d.Role = role
		all = append(all, reconcile.SyncDaemonWanted{SyncDaemon: d, Bound: c.want.Bound()})
	}
	c.daemons.Set(all)
}

// runs reports whether the daemon of a role is wanted. mu is held.
func (c *connectionSync) runs(role kernel.SyncRole) bool {
	return c.want.Wanted() && (c.want.Follows == "" || c.masters[c.want.Follows] == (role == kernel.SyncMaster))
}

// withdraw stops the daemons, after their loop has ended.
func (c *connectionSync) withdraw() error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	return c.daemons.Withdraw(ctx)
}

// syncProblems returns the problems of the synchronization of connections.
func syncProblems(all []reconcile.SyncDaemonProblem) []problem.Finding {
	var found []problem.Finding
	for _, p := range all {
		f := problem.Finding{Code: problem.SyncNotRunning, Subject: string(p.Wanted.Role)}
		switch {
		case p.Wanted.Role == "": // one that is no longer wanted, and is still there
			f.Subject, f.Text = "node", "connection synchronization: "+p.Text
		case p.Wanted.Role == kernel.SyncMaster:
			f.Text = "connection synchronization: the other directors do not learn the connections of this one: " + p.Text
		default:
			f.Text = "connection synchronization: this director does not learn the connections of the others: " + p.Text
		}
		if p.Foreign != nil {
			f.Text += fmt.Sprintf(": stop that one (ipvsadm --stop-daemon %s), or write its settings under connection_sync", p.Foreign.Role)
		}
		found = append(found, f)
	}
	return found
}
