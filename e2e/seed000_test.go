package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
)

// Seed 000: keepalived's VRRP on the two MySQL nodes themselves, without LVS; both with state BACKUP, nopreempt, and
// priorities 101 and 99.
const seed000File = `version: 1
directors:
  - {name: mysql1, address: 10.77.0.11}
  - {name: mysql2, address: 10.77.0.12}
tracks:
  - {name: local-mysql, type: mysql, address: 127.0.0.1, port: 3306, interval: 500ms, fall: 2, rise: 2, user: lvs_check, password_file: %s}
vrrp_instances:
  - name: mysql
    interface: eth0
    virtual_router_id: 52
    advert_interval: 300ms
    preempt: false
    virtual_addresses: [10.77.0.100]
    tracks: [local-mysql]
    per_node:
      mysql1: {priority: 101}
      mysql2: {priority: 99}
`

const seed000Advert = 300 * time.Millisecond

const failsOverWithin = 2*500*time.Millisecond + time.Second // fall × interval + 1 s

// seed000 is two nodes with a MySQL server and a director each, and a third host whose application uses the VIP.
type seed000 struct {
	t      *testing.T
	net    *lab.Network
	a, b   *node
	one    *mariadb.Server // on a
	two    *mariadb.Server // on b
	client *lab.Host

	watches map[*node]*vipWatch
}

// TestSeed000: the VIP follows a MySQL server that answers and does not move without need. It moves back without an
// operator, which the seed promises but its own setup (the check script kills keepalived) does not do.
//
// Proves docs/index.md: "VRRP without balancing, directly on two database servers: the VIP follows a server whose MySQL
// answers."
func TestSeed000(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	n := lab.New(t)
	lan := n.Bridge("lan")
	file := n.File("cluster.yaml", fmt.Sprintf(seed000File, n.File("check.password", mariadb.CheckPassword)))
	s := &seed000{t: t, net: n, client: n.Host("client", lan.At("10.77.0.50/24"))}
	s.a = newNode(t, n.Host("mysql1", lan.At("10.77.0.11/24")), "lvs-director", file)
	s.b = newNode(t, n.Host("mysql2", lan.At("10.77.0.12/24")), "lvs-director", file)
	s.watches = map[*node]*vipWatch{s.a: s.a.watchVIP(), s.b: s.b.watchVIP()}
	s.one, s.two = mariadb.StartPair(s.a.Host, s.b.Host, mariadb.Options{})
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"000-1 both healthy", s.healthy},
		{"000-2 mysqld of the holder stops", s.holderFails},
		{"000-3 it returns, then the other fails", s.backAndForth},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// healthy: exactly one holder, mysql1, because it is started first: the skews of priorities as close as 101 and 99
// differ by less than 1 % of an advert interval, so without preemption the first one to start becomes MASTER.
func (s *seed000) healthy(t *testing.T) {
	s.a.start()
	listening := loggedAt(t, s.a.daemon.WaitLog("from=INIT to=BACKUP", soon))
	s.b.start()
	const most = 3*seed000Advert + seed000Advert*(256-101)/256 + takeoverAllowance
	if took := s.watches[s.a].awaitPeriodSince(listening).from.Sub(listening); took > most {
		t.Errorf("mysql1 took the VIP %s after it became BACKUP, want at most %s", took, most)
	}
	s.awaitHolder(t, s.a, soon)
	lab.Consistently(t, time.Second, func() error { return s.heldBy(s.a) })
	s.awaitAnswer(t, "mysql1", soon)
	healthy(t, s.a, s.b)
	for _, from := range []*lab.Host{s.a.Host, s.b.Host} { // also from the nodes themselves
		if got, err := hostname(s.t, from); err != nil || got != "mysql1" {
			t.Errorf("@@hostname through the VIP from %s: %q %v", from.Name, got, err)
		}
	}
}

func (s *seed000) holderFails(t *testing.T) {
	b := s.b.daemon.Mark()
	stopped := time.Now()
	if code := s.one.Stop(); code != 0 {
		t.Errorf("mysqld exited with %d", code)
	}
	s.movesTo(t, s.b, stopped)
	b.WaitLog("to=MASTER", soon)
	s.awaitAnswer(t, "mysql2", soon)
	if !s.a.daemon.Running() {
		t.Error("the director of mysql1 has exited, so the VIP could not return to it")
	}
	s.awaitState(t, s.a, "FAULT")
	t.Log(s.a.daemon.WaitLog(`to=FAULT .*local-mysql: down: mysql: .*127\.0\.0\.1:3306: .*refused`, soon).Text)
}

// backAndForth is the seed's promise: with A back and B failing, the VIP returns to A without an operator, but not
// before B fails.
func (s *seed000) backAndForth(t *testing.T) {
	a := s.a.daemon.Mark()
	s.one.Start()
	a.WaitLog("from=FAULT to=BACKUP", soon)
	lab.Eventually(t, soon, s.one.Replicating)
	s.two.WaitReplicated(s.one, soon)
	lab.Consistently(t, 1500*time.Millisecond, func() error { return s.heldBy(s.b) })
	s.awaitState(t, s.a, "BACKUP")
	s.awaitAnswer(t, "mysql2", soon)

	killed := time.Now()
	s.two.Kill()
	s.movesTo(t, s.a, killed)
	s.awaitAnswer(t, "mysql1", soon)
	s.awaitState(t, s.b, "FAULT")
	lab.Consistently(t, time.Second, func() error { return s.heldBy(s.a) })
}

// movesTo waits until the node holds the VIP and fails the test if that took longer than fall × interval + 1 s.
func (s *seed000) movesTo(t *testing.T, n *node, event time.Time) {
	t.Helper()
	took := s.watches[n].awaitPeriodSince(event).from.Sub(event)
	t.Logf("the VIP moved to %s %s after the event", n.Name, took.Round(time.Millisecond))
	if took > failsOverWithin {
		t.Errorf("the VIP moved to %s %s after the event, want at most %s", n.Name, took, failsOverWithin)
	}
	s.awaitHolder(t, n, soon)
}

func (s *seed000) awaitHolder(t *testing.T, n *node, within time.Duration) {
	t.Helper()
	lab.Eventually(t, within, func() error { return s.heldBy(n) })
}

func (s *seed000) heldBy(n *node) error {
	if holders := lab.Holders(vip, s.a.Host, s.b.Host); len(holders) != 1 || holders[0] != n.Name {
		return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
	}
	return nil
}

func (s *seed000) awaitState(t *testing.T, n *node, want string) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		if got := n.status().Instances[0]; got.State != want {
			return fmt.Errorf("%s is %s (%s), want %s", n.Name, got.State, got.Reason, want)
		}
		return nil
	})
}

// awaitAnswer waits until this server answers a new connection of the application on the third host.
func (s *seed000) awaitAnswer(t *testing.T, server string, within time.Duration) {
	t.Helper()
	lab.Eventually(t, within, func() error {
		got, err := hostname(s.t, s.client)
		if err == nil && got != server {
			err = fmt.Errorf("@@hostname through the VIP is %q, want %q", got, server)
		}
		return err
	})
}

// hostname returns the @@hostname of the server that answers a new connection through the VIP.
func hostname(t *testing.T, from *lab.Host) (server string, err error) {
	t.Helper()
	ctx, cancel := withDeadline()
	defer cancel()
	db := mariadb.Open(from, vipPort, mariadb.AppUser, mariadb.AppPassword, "app")
	defer db.Close()
	err = db.QueryRowContext(ctx, "SELECT @@hostname").Scan(&server)
	return server, err
}
