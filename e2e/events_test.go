package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/pkg/event"
)

// TestEvents: both directors tell of a dead real server and of a failover in order, at the times that ip and tcpdump know,
// also when the daemons were killed meanwhile; who follows sees the same, once.
//
// Proves docs/operations.md: "A daemon keeps a journal of changes: elections, real servers, virtual servers, tracks,
// problems, reloads, its own starts and stops. The agent keeps one, too."
// Proves docs/operations.md: "When no daemon answers, `lvsctl events` reads the file itself, reports that on stderr and
// shows the same events"
func TestEvents(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "200ms"})
	_, two := c.answering()
	c.startAll()
	follower := c.backup.Start("lvsctl-events", program(t, "lvsctl"), "--socket", c.backup.socket, "-o", "json", "events", "-f", "--state-dir", c.backup.Path("state"))
	onMaster, onBackup := c.master.watchVIP(), c.backup.watchVIP()
	adverts := capture.Start(c.backup.Host, "eth0", "ip proto 112")

	killed := time.Now()
	two.Kill()
	c.awaitTable(c.master, "10.77.0.11:3306")
	c.awaitTable(c.backup, "10.77.0.11:3306")
	for _, n := range []*node{c.master, c.backup} { // the monitor reports it a moment after the table has followed
		lab.Eventually(t, soon, func() error {
			if got := strings.Join(told(n.events()), "\n"); !strings.Contains(got, "virtual_server_state mysql: up -> degraded") {
				return fmt.Errorf("%s has not recorded that the virtual server is degraded:\n%s", n.Name, got)
			}
			return nil
		})
	}
	cut := time.Now()
	c.master.Link("eth0").CarrierDown()
	taken := onBackup.awaitPeriods(1)[0].from
	lost := onMaster.awaitEnd(soon)
	c.master.Link("eth0").CarrierUp()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306") // lost with the carrier
	c.backup.daemon.WaitLog("from=MASTER to=BACKUP", soon)
	lastHeard := c.lastOf(adverts, "10.77.0.2", taken)

	events := c.backup.events()
	c.dead(events, killed, cut)
	c.between(lookup(t, events, "instance_state mysql: BACKUP -> MASTER"), lastHeard, taken.Add(time.Second))
	c.follows(events, "daemon_started lvs-director: ->", "instance_state mysql: INIT -> BACKUP", "real_server_state mysql/mysql2: up -> down",
		"virtual_server_state mysql: up -> degraded", "instance_state mysql: BACKUP -> MASTER", "instance_state mysql: MASTER -> BACKUP")
	events = c.master.events()
	c.dead(events, killed, cut)
	c.between(lookup(t, events, "instance_state mysql: MASTER -> FAULT"), cut, lost.Add(time.Second))
	c.follows(events, "daemon_started lvs-director: ->", "instance_state mysql: INIT -> BACKUP", "instance_state mysql: BACKUP -> MASTER",
		"real_server_state mysql/mysql2: up -> down", "virtual_server_state mysql: up -> degraded", "instance_state mysql: MASTER -> FAULT",
		"problem_raised mysql: -> CRITICAL", "instance_state mysql: FAULT -> BACKUP", "instance_state mysql: BACKUP -> MASTER")

	c.restarted(follower)
	c.follows(c.mysql2.events(), "daemon_started lvs-realserver: ->", "virtual_server_state mysql: unknown -> up")
}

// restarted kills both directors: what they have told before is told afterwards, without them, and to who follows.
func (c *cluster) restarted(follower *lab.Daemon) {
	c.t.Helper()
	for _, n := range []*node{c.master, c.backup} {
		before := n.events()
		n.daemon.Kill()
		out, err := n.Try("sh", "-c", `exec "$@" 2>&1`, "sh", program(c.t, "lvsctl"), "--socket", n.socket, "-o", "json", "events", "--state-dir", n.Path("state"))
		if err != nil || len(parseEvents(c.t, out)) < len(before) || !strings.Contains(out, "these are from "+n.Path("state")+"/events.jsonl") {
			c.t.Errorf("%s: without a daemon: %v, %s", n.Name, err, out)
		}
		n.start().WaitLog("msg=directing", soon)
		after := n.events()
		if len(after) <= len(before) || !slices.Equal(told(after[:len(before)]), told(before)) {
			c.t.Errorf("%s: after a kill:\n%s\nbefore it:\n%s", n.Name, strings.Join(told(after), "\n"), strings.Join(told(before), "\n"))
		}
		c.follows(after[len(before):], "daemon_started lvs-director: ->")
	}
	lab.Eventually(c.t, soon, func() error {
		want, got := told(c.backup.events()), told(parseEvents(c.t, follower.Log()))
		if !slices.Equal(got, want) {
			return fmt.Errorf("who follows saw\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

// lastOf is when the last advert from an address before a moment was heard.
func (c *cluster) lastOf(adverts *capture.Capture, source string, before time.Time) (last time.Time) {
	c.t.Helper()
	for _, p := range capture.Matching(adverts.Packets(), source+" > ") {
		if p.Time.Before(before) {
			last = p.Time
		}
	}
	if last.IsZero() {
		c.t.Fatalf("no advert from %s was heard", source)
	}
	return last
}

// dead wants the dead real server told of between its end and the moment in which the table was seen without it.
func (c *cluster) dead(events []event.Event, killed, gone time.Time) {
	c.t.Helper()
	e := lookup(c.t, events, "real_server_state mysql/mysql2: up -> down")
	c.between(e, killed, gone)
	if e.Code != "refused" || !strings.Contains(e.Reason, "connection refused") {
		c.t.Errorf("the dead real server: %+v", e)
	}
}

func (c *cluster) between(e event.Event, from, to time.Time) {
	c.t.Helper()
	if e.Time.Before(from) || e.Time.After(to) {
		c.t.Errorf("%s was at %s, want it from %s to %s", told([]event.Event{e}), e.Time, from, to)
	}
}

// follows wants these among the events, in this order.
func (c *cluster) follows(events []event.Event, want ...string) {
	c.t.Helper()
	left := want
	for _, text := range told(events) {
		if len(left) > 0 && strings.HasPrefix(text, left[0]) {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		c.t.Errorf("%q is not where it should be in\n%s", left[0], strings.Join(told(events), "\n"))
	}
}

// lookup is the last event that is told so.
func lookup(t *testing.T, events []event.Event, text string) (found event.Event) {
	t.Helper()
	for _, e := range events {
		if told([]event.Event{e})[0] == text {
			found = e
		}
	}
	if found.Kind == "" {
		t.Fatalf("no %q in\n%s", text, strings.Join(told(events), "\n"))
	}
	return found
}

func told(events []event.Event) []string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = strings.Join(strings.Fields(fmt.Sprintf("%s %s: %s -> %s", e.Kind, e.Subject, e.From, e.To)), " ")
	}
	return all
}

// events is what `lvsctl events` of the node says.
func (n *node) events() []event.Event {
	n.t.Helper()
	out, err := n.ctl("events", "-o", "json")
	if err != nil {
		n.t.Fatalf("%s: lvsctl events: %v\n%s", n.Name, err, out)
	}
	return parseEvents(n.t, out)
}

// parseEvents reads the events in the output of lvsctl events -o json, whose stderr has notices.
func parseEvents(t *testing.T, text string) (all []event.Event) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") || strings.HasPrefix(line, `{"notice":`) {
			continue
		}
		e, err := event.Parse([]byte(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}
