package director

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestReloadOfAStalledDirector: a loop that does not take commands is reported in time, and the reload is not applied
// later.
func TestReloadOfAStalledDirector(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip))
		release, stalled := make(chan struct{}), make(chan error, 1)
		go func() { stalled <- m.Director.do(t.Context(), func() { <-release }) }()
		m.pass(time.Millisecond)
		m.file = electing + router("a", "eth0", 51, vip, also)
		begun := time.Now()
		err := m.Reload(t.Context(), true)
		if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), "the director's loop does not answer within") || took > 5*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		close(release)
		if err := <-stalled; err != nil {
			t.Error(err)
		}
		m.pass(time.Second)
		if m.has("eth0", also) {
			t.Error("the reload was applied afterwards")
		}
		m.reload(m.file)
		if !m.has("eth0", also) {
			t.Error("the next reload was not applied")
		}
	})
}

// TestReloadDuringTheStart: it is applied when the start has finished.
func TestReloadDuringTheStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.begin(electing + router("a", "eth0", 51, vip))
		m.file = electing + router("a", "eth0", 51, vip, also)
		if err := m.Reload(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		m.pass(5 * time.Second)
		if !m.has("eth0", vip) || !m.has("eth0", also) {
			t.Errorf("the file read during the start is not in force: %+v", m.Status().Instances)
		}
	})
}

// TestTableBeforeAVIPThatAReloadAdds: the VIP waits until its virtual server has a real server, for a limited time.
func TestTableBeforeAVIPThatAReloadAdds(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		base := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one)
		m.start(base)
		added := electing + router("a", "eth0", 51, vip, also) + virtualServers + balancing("mysql", vip, "dr", one) + balancing("web", also, "dr", two)
		m.reload(added)
		m.expect(
			"a VIP is added", "ipvsadm -A -t 10.77.0.101:3306 -s rr", "ipvsadm -a -t 10.77.0.101:3306 -r 10.77.0.12:3306 -g -w 1",
			"ip addr add 10.77.0.101 dev eth0",
		)
		m.reload(base)
		m.history()
		m.refuses(two, true)
		begun := time.Now()
		m.reload(added)
		// One of the two seconds is the test's own wait.
		if took := time.Since(begun); took != 2*time.Second || !m.has("eth0", also) {
			t.Errorf("a pool that is down kept its VIP away for %s", took-time.Second)
		}
		if m.log.Count("no real server for a new VIP yet") != 1 {
			t.Error("the log has no line about it")
		}
	})
}

// TestNewVIPWaitsForRealServers: a sorry server that answers first does not get the first clients of a VIP that a reload adds.
func TestNewVIPWaitsForRealServers(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		base := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one)
		m.start(base)
		web := strings.Replace(balancing("web", also, "dr", two), "forward: dr,", "forward: dr, "+withSorry+",", 1)
		added := electing + router("a", "eth0", 51, vip, also) + virtualServers + balancing("mysql", vip, "dr", one) + web
		m.answer(two, health.Result{Code: health.OK, Class: health.Good, Took: 300 * time.Millisecond})
		m.history()
		m.reload(added)
		got := m.history()
		server := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, "ipvsadm -a -t 10.77.0.101:3306 -r 10.77.0.12") })
		address := slices.Index(got, "ip addr add 10.77.0.101 dev eth0")
		if server < 0 || address < server {
			t.Errorf("%q", got)
		}
		m.reload(base)
		m.refuses(two, true)
		begun := time.Now()
		m.reload(added)
		if took := time.Since(begun) - time.Second; took >= time.Second || !m.has("eth0", also) { // the test's own wait
			t.Errorf("a real server that is known to be down kept the VIP away for %s", took)
		}
	})
}

// TestReloads: a reload from one file to another; what stays is not touched.
func TestReloads(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip, also) + router("b", "eth0", 52, "10.77.0.102"))
		for _, step := range []struct {
			name, file string
			want       []string
		}{
			{"the same", electing + router("a", "eth0", 51, vip, also) + router("b", "eth0", 52, "10.77.0.102"), nil},
			{"a VIP moves to another instance", electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, "10.77.0.102", also), nil},
			{"its instance is removed", electing + router("b", "eth0", 52, "10.77.0.102", also, vip), nil},
			{"its adverts end", electing + router("b", "eth0", 52, "10.77.0.102", also, vip), []string{"resign on eth0"}},
			{"another interface", electing + router("b", "eth1", 52, "10.77.0.102"), []string{
				"open eth1", "resign on eth0", "ip addr del 10.77.0.102 dev eth0", "ip addr del 10.77.0.101 dev eth0", "ip addr del 10.77.0.100 dev eth0", "ip addr add 10.77.0.102 dev eth1",
			}},
			{"another virtual router", electing + router("b", "eth1", 53, "10.77.0.102"), []string{"resign on eth1", "ip addr del 10.77.0.102 dev eth1", "ip addr add 10.77.0.102 dev eth1"}},
			{"the first virtual server", electing + router("b", "eth1", 53, "10.77.0.102") + virtualServers + balancing("mysql", "10.77.0.102", "dr", one), []string{
				"sysctl net.ipv4.vs.expire_nodest_conn=1", "ipvsadm -A -t 10.77.0.102:3306 -s rr", "ipvsadm -a -t 10.77.0.102:3306 -r 10.77.0.11:3306 -g -w 1",
			}},
			{"its instance, too", electing + router("c", "eth1", 53, "10.77.0.102") + virtualServers + balancing("mysql", "10.77.0.102", "dr", one), nil},
			{"everything is renamed", electing + router("b", "eth1", 53, "10.77.0.102") + virtualServers + balancing("db", "10.77.0.102", "dr", one), nil},
			{"the last virtual server", electing + router("b", "eth1", 53, "10.77.0.102"), []string{"sysctl net.ipv4.vs.expire_nodest_conn=0", "ipvsadm -D -t 10.77.0.102:3306"}},
		} {
			m.reload(step.file)
			if step.name == "its adverts end" {
				m.pass(retireFor)
			}
			m.expect(step.name, step.want...)
			m.pass(5 * time.Second)
			m.history()
		}
		if n := m.log.Count("msg=reloaded"); n != 10 {
			t.Errorf("%d reloads are logged", n)
		}
		if strings.Contains(m.log.String(), "another process") {
			t.Errorf("a reload is logged as a change by another process:\n%s", m.log.String())
		}
	})
}

// TestReloadThatIsRefused: what was opened for it is closed again, and everything else keeps running.
func TestReloadThatIsRefused(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		first := electing + router("a", "eth0", 51, vip)
		m.start(first)
		second := electing + router("b", "eth1", 53, "10.78.0.100") + virtualServers + balancing("mysql", "10.78.0.100", "dr", "10.78.0.11")
		before := m.Status()
		for _, tt := range []struct{ what, fails, file, want string }{
			{"a setting", "sysctl", second, "net.ipv4.vs.expire_nodest_conn=1: not today"},
			{"the scheduler", "scheduler rr", second, "virtual server mysql: not today"},
			{"the engine", "engine sip", strings.Replace(second, "forward: dr", "forward: dr, protocol: udp, persistence: {timeout: 50s, engine: sip}", 1), "virtual server mysql: not today"},
			{"IPVS", "find ipvs", second, "not today"},
			{"an interface that is not there", "", electing + router("a", "ethO", 51, vip), "cluster.yaml:4:26: vrrp_instances[0].interface: lvs-master has no interface ethO"},
			{"an invalid file", "", "version: 7\n", "version"},
			{"a file without this host", "", strings.ReplaceAll(first, "lvs-master", "somebody"), "cluster.yaml:2:13: directors: this machine, lvs-master, is no longer a director in this file, only somebody, lvs-backup (add it again; or stop the director here: systemctl disable --now lvs-director)"},
		} {
			m.refuse(tt.fails, errors.New("not today"))
			m.file = tt.file
			err := m.Reload(t.Context(), true)
			m.refuse(tt.fails, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %s", tt.what, err, tt.want)
			}
			if strings.Contains(tt.want, "cluster.yaml:") && !clusterfile.Refused(err) {
				t.Errorf("%s is not the file's fault: %v", tt.what, err)
			}
			m.pass(time.Second)
			after := m.Status()
			if m.state("a") != "MASTER" || after.ConfigDigest != before.ConfigDigest || len(after.Interfaces) != 1 || len(after.VirtualServers) != 0 || m.table() != "" {
				t.Errorf("%s: before %+v\nafter %+v", tt.what, before, after)
			}
			if got := m.loops.Load().state.Addresses(); len(got) != 1 || got[0].String() != "eth0 10.77.0.100/32" {
				t.Errorf("%s: recorded %v", tt.what, got)
			}
		}
		if strings.Contains(m.log.String(), "no longer") {
			t.Errorf("the VIP went:\n%s", m.log.String())
		}
		m.refuse("open eth1", kernel.ErrNotPermitted)
		m.file = second
		if err := m.Reload(t.Context(), true); !errors.Is(err, kernel.ErrNotPermitted) {
			t.Errorf("a socket that is not permitted: %v", err)
		}
		m.refuse("open eth1", nil)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.Director.do(ended, func() {}); err == nil || !strings.Contains(err.Error(), "the director") {
			t.Errorf("a canceled reload: %v", err)
		}
	})
}

// TestNamesChangeAtOneMoment: a reload that only renames everything writes nothing, because the checks know the new
// names before the table does. A server without a known state would be removed from the table.
func TestNamesChangeAtOneMoment(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := func(name string) string {
			return electing + router("a", "eth0", 51, vip) + virtualServers + balancing(name, vip, "dr", one, two)
		}
		m.start(file("mysql"))
		for range 50 {
			m.reload(file("db"))
			m.reload(file("mysql"))
		}
		m.expect("100 reloads")
		// Nor while checks and table follow the new file and the elections the old one, even if the director itself has
		// no time to process the verdicts.
		db, l := parse(t, file("db")), m.loops.Load()
		if err := m.Director.do(t.Context(), func() { _, _ = m.prepare(l, db); time.Sleep(time.Second) }); err != nil {
			t.Fatal(err)
		}
		m.pass(5 * time.Second)
		m.expect("half a reload")
		if err := m.Director.do(t.Context(), func() { _ = m.move(l, db, nil) }); err != nil {
			t.Fatal(err)
		}
		m.pass(5 * time.Second)
		m.expect("all of it")
	})
}
