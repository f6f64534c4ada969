package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// trackedPort is where the program listens on each director that its track asks.
const trackedPort = "127.0.0.1:9000"

// localTrack finds a program that has ended after two refused connections.
const localTrack = "{name: db, type: tcp, address: 127.0.0.1, port: 9000, interval: 100ms}"

// pair is two directors that only elect.
type trackedPair struct {
	*cluster
	t        *testing.T
	programs map[*node]*lab.Daemon
}

// trackedDirectors returns two directors with adverts every 100 ms, whose instance has these tracks; more are further
// keys of it.
func trackedDirectors(t *testing.T, uses, track, more string) *trackedPair {
	t.Helper()
	p := &trackedPair{cluster: &cluster{t: t, net: lab.New(t)}, t: t, programs: map[*node]*lab.Daemon{}}
	p.lan = p.net.Bridge("lan")
	p.file = p.net.File("cluster.yaml", fmt.Sprintf(`version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [%s], tracks: [%s], %s}
tracks:
  - %s
`, vip, uses, more, track))
	p.master = p.node("lvs-master", "10.77.0.2/24", "lvs-director")
	p.backup = p.node("lvs-backup", "10.77.0.3/24", "lvs-director")
	p.client = p.net.Host("client", p.lan.At("10.77.0.50/24"))
	return p
}

// answers starts the program on a director, or ends it.
func (p *trackedPair) answers(n *node, yes bool) {
	p.t.Helper()
	if yes {
		p.programs[n] = standin.Start(n.Host, trackedPort, n.Name)
		return
	}
	p.programs[n].Kill()
}

// priority waits until a director advertises a priority.
func (p *trackedPair) advertises(segment *capture.Capture, n *node, priority int) {
	p.t.Helper()
	since := time.Now()
	want := fmt.Sprintf(`%s > 224\.0\.0\.18: .* prio %d,`, strings.ReplaceAll(n.Address().String(), ".", `\.`), priority)
	lab.Eventually(p.t, soon, func() error {
		for _, a := range capture.Matching(segment.Packets(), want) {
			if a.Time.After(since) {
				return nil
			}
		}
		return fmt.Errorf("%s has not advertised priority %d", n.Name, priority)
	})
}

// TestSeed003Weights: scenario 003-1. With weight 2, priorities 101 and 100, and a check that succeeds on both, the
// failure of the check moves the VIP, and its success moves it back. It moves by adverts of a lower priority: there is
// no moment in which nobody holds it for longer than after a failure. lvsctl check says that weight 2 is too little for
// priorities 101 and 90.
//
// Proves docs/failover.md: "A MASTER advertises its new priority with its next advert. If it is now lower than that of a
// BACKUP that preempts, that one takes over when its master-down timer ends: three advert intervals and the skew after the
// last advert of the higher priority, as after a failure."
func TestSeed003Weights(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	t.Run("003-1 weight 2", seed003Weights)
}

func seed003Weights(t *testing.T) {
	p := trackedDirectors(t, "{name: db, weight: 2}", localTrack, "per_node: {lvs-master: {priority: 101}}")
	segment := p.segment()
	for _, n := range []*node{p.master, p.backup} {
		p.answers(n, true)
		n.start()
	}
	p.awaitHolder(p.master, soon)
	p.advertises(segment, p.master, 103)
	failed := time.Now()
	p.answers(p.master, false)
	p.advertises(segment, p.backup, 102)
	p.awaitHolder(p.backup, soon)
	if got := p.master.status().Instances[0]; got.State != "BACKUP" || got.EffectivePriority != 101 {
		t.Errorf("lvs-master is %s with priority %d: %s", got.State, got.EffectivePriority, got.Reason)
	}
	for _, a := range capture.Matching(segment.Packets(), `prio 0,`) {
		if a.Time.After(failed) {
			t.Errorf("a change of the priority made a director resign: %s", a.Text)
		}
	}
	p.answers(p.master, true)
	p.advertises(segment, p.master, 103)
	p.awaitHolder(p.master, soon)

	file := p.net.File("far.yaml", strings.Replace(p.master.ReadFile(p.file), "{priority: 101}", "{priority: 110}", 1))
	out, err := p.master.Try(program(t, "lvsctl"), "check", "--explain", file)
	if err != nil || !strings.Contains(out, "the weight 2 of db never takes the virtual addresses from lvs-master") || !strings.Contains(out, "110 (db down)  102 ") {
		t.Errorf("lvsctl check --explain: %v\n%s", err, out)
	}
}

// TestSeed004Start: scenarios 004-1, 004-2 and 000-6. A director whose check fails from the start sends no advert and has
// no VIP, not for a moment, although its first result comes long after the master-down interval; then it is in FAULT.
// When the service starts, it takes the VIP without help.
//
// Proves docs/failover.md: "A director whose track without a weight fails from the start goes to FAULT, and is not MASTER
// before, not even for one advert."
func TestSeed004Start(t *testing.T) {
	lab.Need(t)
	t.Run("004-1, 004-2 and 000-6 the service starts after the director", seed004Start)
}

func seed004Start(t *testing.T) {
	// Nobody answers ARP for the address of the service before it starts: the first result is a timeout.
	p := trackedDirectors(t, "db", "{name: db, type: tcp, address: 10.77.0.9, port: 9000, interval: 1s, timeout: 900ms, fall: 1, rise: 1}", "preempt: false")
	segment := p.segment()
	watch := p.master.watchVIP()
	p.master.start()
	p.master.daemon.WaitLog("from=INIT to=BACKUP", soon)
	fault := p.master.daemon.WaitLog("to=FAULT .*db: down: tcp: dial 10.77.0.9:9000: no answer within 900ms", soon)
	if strings.Contains(p.master.daemon.Log(), "to=MASTER") {
		t.Error("it was MASTER before it knew that its check fails")
	}
	if got := watch.periods(); len(got) > 0 {
		t.Errorf("it had the VIP: %v", got)
	}
	if got := capture.Matching(segment.Packets(), `10\.77\.0\.2 > 224\.0\.0\.18`); len(got) > 0 {
		t.Errorf("it sent adverts: %v", got)
	}
	t.Log(fault.Text)
	service := p.net.Host("service", p.lan.At("10.77.0.9/24"))
	standin.Start(service, "10.77.0.9:9000", "service")
	p.master.daemon.WaitLog("from=FAULT to=BACKUP", soon)
	p.awaitHolder(p.master, soon)
	p.master.daemon.WaitLog("to=MASTER", soon) // a moment after the VIP
	if states := stateChanges(p.master); !slices.Equal(states, []string{"BACKUP", "FAULT", "BACKUP", "MASTER"}) {
		t.Errorf("states %q", states)
	}
}

// stateChanges are the states that a director has logged.
func stateChanges(n *node) (states []string) {
	for line := range strings.Lines(n.daemon.Log()) {
		if _, rest, found := strings.Cut(line, " to="); found && strings.Contains(line, "msg=state ") {
			word, _, _ := strings.Cut(rest, " ")
			states = append(states, word)
		}
	}
	return states
}

// TestWeightsWithKeepalived: a pair with keepalived, whose vrrp_script has a weight, too: a failed check moves the VIP to
// the other one, and its end moves it back, both ways. The priorities on the wire are those that both calculate.
//
// Proves docs/failover.md: "These are keepalived's rules, and a pair with keepalived calculates with the same ones."
func TestWeightsWithKeepalived(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	for ours, weight := range map[string]int{"lvs-master": -60, "lvs-backup": 60} {
		t.Run(fmt.Sprintf("%s is ours, weight %d", ours, weight), func(t *testing.T) { weighWithKeepalived(t, ours, weight) })
	}
}

func weighWithKeepalived(t *testing.T, ours string, weight int) {
	p := trackedDirectors(t, fmt.Sprintf("{name: db, weight: %d}", weight), localTrack, "per_node: {lvs-master: {priority: 150}}")
	segment := p.segment()
	for _, n := range []*node{p.master, p.backup} {
		p.answers(n, true)
		if n.Name == ours {
			n.start()
			continue
		}
		n.daemon = lab.StartKeepalived(n.Host, weighedKeepalived(n.Name, weight))
	}
	good, bad := max(weight, 0), min(weight, 0)
	p.awaitHolder(p.master, soon)
	p.advertises(segment, p.master, 150+good)
	failed := time.Now()
	p.answers(p.master, false)
	p.advertises(segment, p.backup, 100+good)
	t.Logf("the VIP moved after %s", time.Since(failed))
	p.awaitHolder(p.backup, soon)
	if len(capture.Matching(segment.Packets(), fmt.Sprintf(`10\.77\.0\.2 > 224\.0\.0\.18: .* prio %d,`, 150+bad))) == 0 {
		t.Errorf("lvs-master has not advertised %d", 150+bad)
	}
	p.answers(p.master, true)
	p.advertises(segment, p.master, 150+good)
	p.awaitHolder(p.master, soon)
	p.answers(p.backup, false) // the worse one becomes still worse: nothing happens
	lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
}

// weighedKeepalived is a keepalived.conf with a script that opens a connection to the program.
func weighedKeepalived(name string, weight int) string {
	priority := 100
	if name == "lvs-master" {
		priority = 150
	}
	return fmt.Sprintf(`global_defs {
  router_id %s
  script_user root
}
vrrp_script db {
  script "/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/9000'"
  interval 1
  weight %d
}
vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int 0.1
  version 3
  track_script { db }
  virtual_ipaddress { %s/32 }
}
`, name, weight, priority, vip)
}

// TestGateOfSeed004: scenario 004-S3, rule 3 of seed 004. A BACKUP that hears neither the MASTER nor the gateway does not
// take the VIP; a MASTER that loses the gateway keeps it; with the gateway back, a BACKUP whose MASTER has failed takes
// over. When its link is back, it does not take the VIP for a moment before it hears the MASTER.
//
// Proves docs/failover.md: "While such a track is down, the director does not become MASTER *even if there is none*."
func TestGateOfSeed004(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	t.Run("004-S3 neither the MASTER nor the gateway is heard", seed004Gate)
}

func seed004Gate(t *testing.T) {
	p := trackedDirectors(t, "net", "{name: net, type: tcp, address: 10.77.0.1, port: 80, interval: 100ms, timeout: 50ms, fall: 1, rise: 1, when: becoming_master}", "per_node: {lvs-master: {priority: 150}}")
	gateway := p.net.Host("gateway", p.lan.At("10.77.0.1/24"))
	standin.Start(gateway, "10.77.0.1:80", "gateway")
	for _, n := range []*node{p.master, p.backup} {
		n.start()
	}
	p.awaitHolder(p.master, soon)

	cut := p.backup.daemon.Mark()
	p.backup.Link("eth0").Unplug() // its carrier stays
	lab.Eventually(t, soon, func() error {
		if got := p.backup.status().Instances[0]; !strings.Contains(got.Reason, "no MASTER is heard, and this director must not become it: net: down") {
			return fmt.Errorf("lvs-backup: %s", got.Reason)
		}
		return nil
	})
	lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
	if _, err := p.backup.ctl("status", "--check"); lab.ExitCode(err) != 2 {
		t.Errorf("lvsctl status --check of a director that takes no VIPs: %v, want CRITICAL", err)
	}
	p.backup.Link("eth0").Plug()
	lab.Eventually(t, soon, func() error {
		_, err := p.backup.ctl("status", "--check")
		return err
	})
	if strings.Contains(cut.Log(), "to=MASTER") {
		t.Error("lvs-backup was MASTER for a moment when its link was back")
	}

	gateway.Link("eth0").CarrierDown()
	lab.Eventually(t, soon, func() error {
		if _, err := p.master.ctl("status", "--check"); lab.ExitCode(err) != 1 {
			return fmt.Errorf("lvs-master without the gateway: %v, want WARNING", err)
		}
		return nil
	})
	lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
	p.master.daemon.Kill()
	p.master.Run("ip", "addr", "flush", "to", vipPrefix)
	lab.Consistently(t, 2*time.Second, func() error {
		if p.backup.holds() {
			return fmt.Errorf("lvs-backup took the VIP without the gateway")
		}
		return nil
	})
	gateway.Link("eth0").CarrierUp()
	p.awaitHolder(p.backup, soon)
}
