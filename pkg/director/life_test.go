package director

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

const (
	vip  = "10.77.0.100"
	one  = "10.77.0.11"
	two  = "10.77.0.12"
	also = "10.77.0.101"
)

// TestLife: leftovers of an earlier run are removed first; the table is complete before the VIP is added; at the end
// the VIP is removed before its virtual servers, and nothing is left.
func TestLife(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.leaves("eth0", vip)
		file := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "nat", one)
		m.begin(file)
		m.pass(5 * time.Second)
		m.expect(
			"the start", "ip addr del 10.77.0.100 dev eth0", "open eth0",
			"sysctl net.ipv4.conf.all.send_redirects=0", "sysctl net.ipv4.ip_forward=1", "sysctl net.ipv4.vs.expire_nodest_conn=1",
			"sysctl net/ipv4/conf/eth0/send_redirects=0",
			"ipvsadm -A -t 10.77.0.100:3306 -s rr", "ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -m -w 1",
			"ip addr add 10.77.0.100 dev eth0",
		)
		s := m.Status()
		if len(s.Problems) != 0 || len(s.Interfaces) != 1 || s.Instances[0].State != "MASTER" || s.VirtualServers[0].State != "up" || s.VirtualServers[0].RealServers[0].Weight != 1 {
			t.Errorf("status: %+v", s)
		}
		if record, err := m.Record("a"); err != nil || !strings.HasPrefix(record, "# instance a\nparams vrid=51") {
			t.Errorf("record: %q, %v", record, err)
		}
		if _, err := m.Record("b"); err == nil || err.Error() != "no VRRP instance b here: the instances are a" {
			t.Errorf("record of an unknown instance: %v", err)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect(
			"the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0",
			"ipvsadm -D -t 10.77.0.100:3306",
			"sysctl net.ipv4.conf.all.send_redirects=1", "sysctl net.ipv4.ip_forward=0", "sysctl net.ipv4.vs.expire_nodest_conn=0",
			"sysctl net/ipv4/conf/eth0/send_redirects=1",
		)
		if m.opened != 0 {
			t.Errorf("%d handles are still open", m.opened)
		}
		l, err := statefile.Open(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Addresses())+len(l.Services())+len(l.Sysctls()) != 0 {
			t.Errorf("recorded after the end: %v %v %v", l.Addresses(), l.Services(), l.Sysctls())
		}
		_ = l.Close()
		if err := m.Reload(t.Context(), true); !errors.Is(err, ErrStopped) {
			t.Errorf("a reload after the end: %v", err)
		}
	})
}

// TestVerdicts: a real server that fails is removed from the table by the director, and added again when it recovers.
func TestVerdicts(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
		m.refuses(two, true)
		m.pass(3 * time.Second)
		m.expect("down", "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.12:3306")
		if v := m.Status().VirtualServers[0]; v.State != "degraded" || v.RealServers[1].State != "down" || v.RealServers[1].Code != string(health.Refused) {
			t.Errorf("%+v", v)
		}
		m.refuses(two, false)
		m.pass(3 * time.Second)
		m.expect("up", "ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1")
	})
}

// TestTracks: a track that is down is a fault of the instances that use it, and of no other.
func TestTracks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		tracked := strings.Replace(router("a", "eth0", 51, vip), "advert_interval", "tracks: [gateway], advert_interval", 1)
		m.start(electing + tracked + router("b", "eth0", 52, also) + "tracks:\n  - {name: gateway, address: 10.77.0.1, type: tcp, port: 80, interval: 1s}\n")
		m.refuses("10.77.0.1", true)
		m.pass(3 * time.Second)
		if m.state("a") != "FAULT" || !strings.Contains(m.reason("a"), "gateway: down: tcp: refused") || m.state("b") != "MASTER" {
			t.Errorf("a is %s (%s), b %s", m.state("a"), m.reason("a"), m.state("b"))
		}
		if s := m.Status().Tracks; len(s) != 1 || s[0].State != "down" {
			t.Errorf("tracks: %+v", s)
		}
		m.reload(electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, also))
		if m.state("a") != "MASTER" {
			t.Errorf("a depends on it no more, and is %s (%s)", m.state("a"), m.reason("a"))
		}
	})
}

// TestLinks: a lost carrier takes effect at once, an address that another process deletes is added again at once, and a
// change without an event takes effect within a second.
func TestLinks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + router("b", "eth1", 52, "10.78.0.100"))
		prefix := netip.MustParsePrefix(vip + "/32")
		m.change(addr.Event{Kind: addr.AddressRemoved, Interface: "eth0", Prefix: prefix, Asked: true}, func() { m.drop("eth0", prefix) })
		m.pass(50 * time.Millisecond)
		m.expect("a change by another process", "ip addr add 10.77.0.100 dev eth0")
		// A renewal.
		m.change(addr.Event{Kind: addr.AddressAdded, Interface: "eth0", Prefix: prefix, Valid: time.Second}, func() {})
		m.pass(2 * time.Second)
		m.change(addr.Event{}, func() { m.events = nil; m.drop("eth0", prefix) }) // an event that is lost
		m.pass(2 * time.Second)
		m.expect("the next read", "ip addr add 10.77.0.100 dev eth0")

		m.mu.Lock()
		l := m.links[0]
		m.links[0].Carrier = false
		m.mu.Unlock()
		m.pass(1100 * time.Millisecond)
		if m.state("a") != "FAULT" || m.state("b") != "MASTER" || m.has("eth0", vip) {
			t.Errorf("without a carrier: a %s, b %s", m.state("a"), m.state("b"))
		}
		m.mu.Lock()
		l.HardwareAddr = "02:00:00:00:00:99"
		m.links[0] = l
		m.mu.Unlock()
		m.pass(3 * time.Second)
		if m.state("a") != "MASTER" || m.log.Count("the hardware address of the interface has changed") != 1 {
			t.Errorf("with a carrier: a %s (%s)\n%s", m.state("a"), m.reason("a"), m.log.String())
		}
		m.refuse("links", errors.New("not now"))
		m.pass(2 * time.Second)
		m.refuse("links", nil)
		m.refuse("list", errors.New("not now"))
		m.pass(2 * time.Second)
		if m.log.Count("cannot list the network interfaces") == 0 || m.log.Count("cannot list the addresses") == 0 || m.state("a") != "MASTER" {
			t.Errorf("a kernel that does not answer: a %s\n%s", m.state("a"), m.log.String())
		}
		m.refuse("list", nil)
	})
}

// TestMisplacedVIP: the own address was deleted and added again after the VIP, which is then moved behind it.
func TestMisplacedVIP(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip))
		m.mu.Lock()
		m.addresses = append(m.addresses[1:], m.addresses[0])
		m.mu.Unlock()
		m.pass(2 * time.Second)
		m.expect("the order", "ip addr del 10.77.0.100 dev eth0", "ip addr add 10.77.0.100 dev eth0")
	})
}

// TestPeers: a peer of higher priority takes over, and an unknown one is reported.
func TestPeers(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip))
		m.advertise("eth0", "10.77.0.66", 51, 200)
		m.advertise("eth0", "10.77.0.66", 77, 200)
		m.pass(20 * time.Millisecond)
		s := m.Status()
		if m.state("a") != "BACKUP" || s.Instances[0].Master != "10.77.0.66" || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "is no director of the cluster file") {
			t.Errorf("%+v", s)
		}
		if s.Interfaces[0].Received != 2 || s.Interfaces[0].Dropped["vrid"] != 1 {
			t.Errorf("%+v", s.Interfaces)
		}
	})
}

// TestTroubles: problems are in the status, and the director keeps working.
func TestTroubles(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuse("watch", errors.New("no events here"))
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		if m.log.Count("cannot follow address and link events") != 1 {
			t.Error("the log has no line about missing events")
		}
		m.refuse("sysctl", errors.New("read-only"))
		m.refuse("services", errors.New("no /proc"))
		m.refuse("ipvsadm", errors.New("no buffers"))
		m.mu.Lock()
		m.sysctls["net/ipv4/vs/expire_nodest_conn"] = "0"
		m.services = nil
		m.mu.Unlock()
		_ = m.loops.Load().state.Close()                // now every change of the state file fails
		m.refuse("open eth0", errors.New("no buffers")) // before the socket is closed, as it is opened again at once
		_ = m.sockets["eth0"].Close()
		m.pass(3 * time.Second)
		problems := strings.Join(m.Status().Problems, "\n")
		for _, want := range []string{"the sysctls are not as they should be: ", "no /proc", "the IPVS table is not as it should be: ", "the state directory is closed", "no VRRP socket on eth0: "} {
			if !strings.Contains(problems, want) {
				t.Errorf("%q is missing in\n%s", want, problems)
			}
		}
		if m.state("a") != "MASTER" || m.log.Count("cannot write the state file") != 1 {
			t.Errorf("%s\n%s", m.state("a"), m.log.String())
		}
		for _, what := range []string{"sysctl", "services", "ipvsadm", "open eth0"} {
			m.refuse(what, nil)
		}
		m.pass(5 * time.Second)
		if strings.Count(m.table(), "-a -t") != 1 {
			t.Errorf("the table afterwards:\n%s", m.table())
		}
	})
}

// TestLostLease: a lost lease is reported directly to the election.
func TestLostLease(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip))
		m.refuse("ip addr add", errors.New("no buffers"))
		m.change(addr.Event{Kind: addr.Resync}, func() { m.drop("eth0", netip.MustParsePrefix(vip+"/32")) })
		m.pass(7 * time.Second)
		if m.log.Count("the lease of the VIPs lapsed") == 0 {
			t.Errorf("%s\n%s", m.state("a"), m.log.String())
		}
	})
}

// TestCleanup: leftovers of a dead daemon are removed according to the cluster file and the state file; nothing is
// touched while a daemon runs.
func TestCleanup(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one)
		m.start(file)
		if err := Cleanup(m.options(file), false); !errors.Is(err, statefile.ErrLocked) {
			t.Errorf("beside a daemon: %v", err)
		}
		for _, tt := range []struct {
			addressesOnly, noIPVS bool
			file                  string
			want                  []string
		}{
			{true, false, file, []string{"ip addr del 10.77.0.100 dev eth0"}},
			{false, false, file, []string{"ip addr del 10.77.0.100 dev eth0", "ipvsadm -D -t 10.77.0.100:3306"}},
			{false, true, electing + router("z", "eth1", 9, "10.78.0.9"), []string{"ip addr del 10.77.0.100 dev eth0"}}, // it is recorded
		} {
			if err := m.stop(); err != nil {
				t.Error(err)
			}
			m.history()
			m.services = parseTable(t, file)
			m.leaves("eth0", vip)
			if tt.noIPVS {
				m.refuse("find ipvs", ipvs.ErrNoIPVS)
			}
			if err := Cleanup(m.options(tt.file), tt.addressesOnly); err != nil {
				t.Error(err)
			}
			m.expect("cleanup", tt.want...)
		}
	})
}

// TestElectsOnly: a file without virtual servers needs no IPVS, even if an earlier run had some.
func TestElectsOnly(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		l, err := statefile.Open(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.SetServices([]lvs.Key{{Protocol: "tcp", Address: netip.MustParseAddr(vip), Port: 3306}})
		_ = l.Close()
		file := electing + router("a", "eth0", 51, vip)
		m.services = parseTable(t, file+virtualServers+balancing("mysql", vip, "dr", one))
		m.start(file)
		if m.table() != "" {
			t.Errorf("virtual servers of an earlier run are still in the table:\n%s", m.table())
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		l, err = statefile.Open(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.SetServices([]lvs.Key{{Protocol: "tcp", Address: netip.MustParseAddr(vip), Port: 3306}})
		_ = l.Close()
		m.refuse("find ipvs", ipvs.ErrNoIPVS)
		m.start(file)
		if n := len(m.loops.Load().state.Services()); n != 0 {
			t.Errorf("%d services are still recorded after the module was removed", n)
		}
	})
}
