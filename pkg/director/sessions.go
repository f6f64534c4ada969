package director

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/liveness"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// sessions are the BFD sessions of a director. set is called only from the director's own goroutine; the other methods
// may be called from any goroutine and do not block.
type sessions struct {
	group     *task.Group
	listen    func(vrrp.Segment) (liveness.Listener, error)
	dial      func(on vrrp.Segment, source, neighbour netip.Addr) (liveness.Sender, error)
	suspended func() time.Duration
	lost      func(config.InstanceID, vrrp.PeerLost) // tells an election that its peer is gone
	record    func(event.Event)
	changed   func() // called for each change of state
	log       *slog.Logger

	mu    sync.Mutex // guards the fields below; never held while waiting for a session
	links map[vrrp.Segment]sessionLink
	all   map[plan.SessionID]*session
	order []plan.SessionID
}

type sessionLink struct {
	link    *liveness.Link
	running *task.Running
}

type session struct {
	wanted  plan.Session
	actor   *liveness.Session
	running *task.Running
}

// sessionState is a session at one moment.
type sessionState struct {
	plan.Session
	liveness.Snapshot
	broken string // why nothing can be received; "" if it can
}

// set starts, changes and stops sessions. A session that is stopped tells its neighbour.
func (s *sessions) set(all []plan.Session) {
	order := make([]plan.SessionID, len(all))
	for n, w := range all {
		order[n] = w.SessionID
	}
	s.mu.Lock()
	s.order = order
	known := maps.Clone(s.all)
	s.mu.Unlock()
	for id, old := range known {
		if !slices.Contains(order, id) {
			s.stop(id, old)
		}
	}
	for _, w := range all {
		d := liveness.Desired{Source: w.Source, Interval: w.BFD.Interval, Multiplier: w.BFD.Multiplier, Passive: w.Passive}
		if running := known[w.SessionID]; running != nil {
			s.mu.Lock()
			running.wanted = w
			s.mu.Unlock()
			running.actor.Set(d)
			continue
		}
		s.start(w, d)
	}
}

func (s *sessions) start(w plan.Session, d liveness.Desired) {
	s.mu.Lock()
	defer s.mu.Unlock()
	on, found := s.links[w.On]
	if !found {
		on.link = liveness.NewLink(w.On, s.listen, s.log)
		on.running = s.group.Start(on.link)
		s.links[w.On] = on
	}
	started := &session{wanted: w}
	started.actor = liveness.New(liveness.Options{
		Link: on.link, Neighbour: w.Neighbour, Desired: d, Dial: s.dial, Suspended: s.suspended, Log: s.log,
		Changed: func(c bfd.Change) { s.change(started, c) },
	})
	on.link.Attach(started.actor)
	started.running = s.group.Start(started.actor)
	s.all[w.SessionID] = started
}

func (s *sessions) stop(id plan.SessionID, old *session) {
	old.running.Stop()
	s.mu.Lock()
	delete(s.all, id)
	on := s.links[id.On]
	idle := on.link.Detach(id.Neighbour)
	if idle {
		delete(s.links, id.On)
	}
	s.mu.Unlock()
	if idle {
		on.running.Stop()
	}
}

// change acts on a change of a session's state. Elections are told first and directly, because every millisecond counts.
func (s *sessions) change(of *session, c bfd.Change) {
	s.mu.Lock()
	w := of.wanted
	s.mu.Unlock()
	if c.Lost() {
		for _, id := range w.Peers {
			s.lost(id, vrrp.PeerLost{Source: w.Neighbour, Silent: c.Silent})
		}
	}
	if c.From == bfd.Up || c.To == bfd.Up {
		e := event.Event{Kind: event.BFDSessionState, Subject: w.Name + " on " + w.On.Interface, From: c.From.String(), To: c.To.String()}
		if c.To != bfd.Up {
			e.Reason = c.Diag.String()
		}
		if c.Diag == bfd.DiagDetection {
			e.Reason = fmt.Sprintf("%s was silent for %s", w.Neighbour, c.Silent.Round(time.Millisecond))
		}
		s.record(e)
	}
	s.changed()
}

// snapshots returns the states of all sessions, in the order of the plan.
func (s *sessions) snapshots() []sessionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []sessionState
	for _, id := range s.order {
		if one := s.all[id]; one != nil {
			all = append(all, sessionState{one.wanted, one.actor.Snapshot(), s.links[id.On].link.Broken()})
		}
	}
	return all
}

// verdicts returns those of the sessions that instances track; nil if there are none.
func (s *sessions) verdicts() map[config.Subject]health.Verdict {
	var all map[config.Subject]health.Verdict
	for _, one := range s.snapshots() {
		for _, track := range one.Tracks {
			if all == nil {
				all = map[config.Subject]health.Verdict{}
			}
			all[config.Subject{Track: track}] = one.verdict()
		}
	}
	return all
}

// verdict is that of a tracked session: a session that does not tell whether the path works is unknown, which does not
// count as down.
func (s sessionState) verdict() health.Verdict {
	v := health.Verdict{Reason: s.reason(), Since: s.Since, Code: health.OK}
	switch {
	case s.State == bfd.Up:
		v.Known, v.Up = true, true
	case s.Failed:
		v.Known, v.Code = true, health.Timeout
	default:
		v.Code = health.Timeout
	}
	return v
}

func (s sessionState) reason() string {
	if s.broken != "" && s.State != bfd.Up {
		return "down: " + s.broken
	}
	return s.Reason()
}

func sessionStatus(all []sessionState) []status.BFDSession {
	var out []status.BFDSession
	for _, s := range all {
		out = append(out, status.BFDSession{
			Name: s.Name, Address: s.Session.Neighbour.String(), Interface: s.On.Interface, State: s.State.String(), Reason: s.reason(), Since: s.Since,
			Interval: milliseconds(s.Interval), DetectionTime: milliseconds(s.DetectionTime), Instances: s.Users, Sent: s.Sent, Received: s.Received, Dropped: s.Dropped,
		})
	}
	return out
}

// settleWithin is how long a session may take to come up: it sends a packet per second until then.
const settleWithin = 4 * time.Second

// sessionProblems returns the problems of sessions that are not up. Those that an instance tracks and that have failed
// put it into FAULT, which explains them.
func sessionProblems(all []sessionState, now time.Time) []problem.Finding {
	var found []problem.Finding
	for _, s := range all {
		if s.State == bfd.Up || now.Sub(s.DownSince) < settleWithin {
			continue
		}
		name := s.Name + " on " + s.On.Interface
		effect := "its failure is noticed only when its adverts stop"
		if len(s.Tracks) > 0 {
			effect = "its failure is not noticed"
		}
		found = append(found, problem.Finding{Code: problem.BFDSessionDown, Subject: name, Related: s.Users, Text: fmt.Sprintf(
			"no BFD session with %s: %s: %s", name, effect, s.reason())})
	}
	return found
}

// falseAlarms returns the problem of an instance that ignores BFD, because it took over from a peer that was alive.
func falseAlarms(instance string, s *election.Snapshot) []problem.Finding {
	if s.DoubtedFor == 0 {
		return nil
	}
	return []problem.Finding{{Code: problem.BFDFalseAlarm, Subject: instance, Text: fmt.Sprintf(
		"%s: BFD declared a MASTER dead that lives (%d times in a row); BFD is ignored for some time", instance, s.FalseAlarms)}}
}
