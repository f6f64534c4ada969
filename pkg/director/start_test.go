package director

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// TestReadinessOfAStart: a director whose checks find no real server does not preempt a MASTER of lower priority, but
// takes over if there is no MASTER.
func TestReadinessOfAStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuses(one, true)
		m.begin(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		listen := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); m.pass(50 * time.Millisecond) {
				m.advertise("eth0", "10.77.0.3", 51, 50)
			}
		}
		m.pass(100 * time.Millisecond)
		listen(20 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), noServer) {
			t.Errorf("%s: %s\n%s", m.state("a"), m.reason("a"), m.log.String())
		}
		listen(2 * time.Minute)
		if m.state("a") != "BACKUP" {
			t.Errorf("without a real server it took the VIP from one that serves: %s: %s", m.state("a"), m.reason("a"))
		}
		m.pass(5 * time.Second) // there is no MASTER
		if m.state("a") != "MASTER" {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		m.refuses(one, false)
		m.pass(5 * time.Second)

		// The interface is lost, and with it the only server; the interface comes back first, the server later.
		m.refuses(one, true)
		m.pass(5 * time.Second)
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = false })
		m.pass(time.Second)
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = true })
		listen(5 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), noServer) {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		m.refuses(one, false)
		listen(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
	})
}

// TestAdoption: a real server in the table of an earlier run stays in it until fall checks in a row fail.
func TestAdoption(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one)
		m.services = parseTable(t, file)
		m.refuses(one, true)
		m.begin(file)
		m.pass(500 * time.Millisecond)
		m.expect("after one failure", "open eth0", "sysctl net.ipv4.vs.expire_nodest_conn=1", "ip addr add 10.77.0.100 dev eth0")
		m.pass(3 * time.Second)
		if !strings.Contains(strings.Join(m.history(), "\n"), "ipvsadm -d") {
			t.Error("it stays after two")
		}
	})
}

// parseTable returns the table for a file when all servers are up.
func parseTable(t *testing.T, file string) []lvs.Service {
	return lvs.Desired(parse(t, file).VirtualServers, func(config.ServerID) lvs.Condition { return lvs.Condition{Known: true, Up: true} }, nil)
}

// TestStartsThatFail: the error names the first thing that is missing, and nothing is left open; the virtual servers of
// an earlier run stay in place.
func TestStartsThatFail(t *testing.T) {
	file := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one)
	for _, tt := range []struct{ fails, want string }{
		{"open netlink", "not today"},
		{"list", "addresses: not today"},
		{"ip addr del", "remove the leftover VIP 10.77.0.100/32 from eth0"},
		{"find ipvs", "not today"},
		{"scheduler rr", "virtual server mysql: not today"},
		{"sysctl net.ipv4.vs", "not today"},
		{"read", "not today"},
		{"ipvsadm -A", "not today"},
	} {
		t.Run(tt.fails, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				l, err := statefile.Open(m.dir)
				if err != nil {
					t.Fatal(err)
				}
				_ = l.SetServices([]lvs.Key{{Protocol: "tcp", Address: netip.MustParseAddr(vip), Port: 3306}})
				_ = l.Close()
				m.services = parseTable(t, file)
				m.leaves("eth0", vip)
				failure := errors.New("not today")
				starts := file
				switch tt.fails {
				case "read":
					failure = errors.Join(failure, ipvs.ErrNoIPVS)
				case "ipvsadm -A":
					failure = errors.Join(failure, ipvs.ErrNoScheduler)
					starts += balancing("web", also, "dr", two)
				}
				m.refuse(tt.fails, failure)
				m.begin(starts)
				m.pass(10 * time.Second)
				if err := m.stop(); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %s", err, tt.want)
				}
				if m.opened != 0 && tt.fails != "open netlink" {
					t.Errorf("%d handles are still open", m.opened)
				}
				if !strings.Contains(m.table(), one) {
					t.Errorf("the virtual servers of an earlier run are gone:\n%s", m.table())
				}
			})
		})
	}
}

// TestElectionsWaitForTheTable: the elections wait for the table for at most 5 s.
func TestElectionsWaitForTheTable(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.stuck = make(chan struct{})
		m.begin(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		m.pass(4900 * time.Millisecond)
		if s := m.Status(); len(s.Instances) != 0 || len(s.Problems) != 1 || s.Problems[0] != "the director has not started yet" {
			t.Errorf("before the table is complete: %+v", s)
		}
		if _, err := m.Record(""); err == nil {
			t.Error("a record before the start")
		}
		m.pass(time.Second)
		if m.state("a") != "MASTER" || m.log.Count("the IPVS table is not complete yet") != 1 {
			t.Errorf("%s\n%s", m.state("a"), m.log.String())
		}
		// The table loop hangs: after 30 s that is a problem, and this director does not stay MASTER if a peer is
		// alive.
		m.pass(35 * time.Second)
		m.advertise("eth0", "10.77.0.3", 51, 50)
		m.pass(50 * time.Millisecond)
		if p := strings.Join(m.Status().Problems, "\n"); !strings.Contains(p, "the table loop made no progress for 30s") || m.state("a") != "FAULT" {
			t.Errorf("%s: %s", m.state("a"), p)
		}
		close(m.stuck)
		m.pass(5 * time.Second)
		if p := m.Status().Problems; len(p) != 0 || m.state("a") != "MASTER" {
			t.Errorf("%s: %v", m.state("a"), p)
		}
	})
}
