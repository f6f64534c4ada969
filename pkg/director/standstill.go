package director

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/pulse"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// standsAfter is how long a loop may go without a turn. Every conversation of a loop has a deadline that is far
	// shorter, so that it is longer only when something hangs that must not.
	standsAfter = 30 * time.Second
	// lookAtLoops is how often the loops are looked at.
	lookAtLoops = time.Second
)

// electionOf is the name under which an instance's election is watched.
func electionOf(instance string) string { return "the election of " + instance }

// Pulses are the loops of this daemon, for the watchdog.
func (d *Director) Pulses() *pulse.Set { return &d.pulses }

// watchLoops looks for loops that stand still until ctx ends. It talks to the elections directly: the director's own
// goroutine may be the one that hangs.
func (d *Director) watchLoops(ctx context.Context) {
	monitor, look := pulse.NewMonitor(&d.pulses), time.NewTicker(lookAtLoops)
	defer look.Stop()
	v := vigil{log: d.log, told: map[voter]string{}}
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		lived := min(time.Since(last), 2*lookAtLoops)
		last = time.Now()
		elections := map[config.InstanceID]candidate{}
		for _, i := range d.view.load().instances {
			name := config.InstanceID(i.cfg.Name)
			elections[name] = candidate{
				actor: i.actor, pulse: i.pulse, lease: i.cfg.Lease, offer: i.actor.Offer, release: func() { d.addresses.Release(name) },
			}
		}
		problem := v.judge(monitor.Look(lived), elections)
		d.standstill.Store(&problem)
	}
}

// candidate is what a vigil needs of an instance.
type candidate struct {
	actor   *election.Actor // a reload may put another one in its place
	pulse   *pulse.Pulse
	lease   time.Duration
	offer   func(vrrp.Event) bool
	release func()
}

// vigil is what follows from loops that stand still.
type vigil struct {
	log  *slog.Logger
	last string           // the problem found last
	told map[voter]string // what each election was told
}

// voter is one election under its name.
type voter struct {
	name  config.InstanceID
	actor *election.Actor
}

// judge acts on what a look found and returns what is wrong, as a sentence, "" for nothing.
func (v *vigil) judge(loops []pulse.Idle, elections map[config.InstanceID]candidate) string {
	var standing []string
	silent := map[config.InstanceID]bool{}
	for _, loop := range loops {
		for name, e := range elections {
			// It sends no adverts, and another one has the VIPs by now.
			if loop.Pulse == e.pulse && loop.For >= max(e.lease, 2*lookAtLoops) {
				silent[name] = true
				e.release()
			}
		}
		if loop.For >= standsAfter {
			standing = append(standing, loop.Name)
		}
	}
	problem := ""
	if len(standing) > 0 {
		problem = fmt.Sprintf("%s made no progress for %s (a bug, or a kernel that does not answer; a restart helps)", strings.Join(standing, " and "), standsAfter)
	}
	switch {
	case problem != "" && problem != v.last:
		v.log.Error("a loop stands still; a director that is alive shall take over", "problem", problem)
	case problem == "" && v.last != "":
		v.log.Info("the loops move again")
	}
	v.last = problem
	for name, e := range elections {
		who := voter{name, e.actor}
		if before := v.told[who]; before != problem && !silent[name] && e.offer(vrrp.Hindered{Reason: problem}) {
			v.told[who] = problem
		}
	}
	for who := range v.told {
		if elections[who.name].actor != who.actor {
			delete(v.told, who)
		}
	}
	return problem
}
