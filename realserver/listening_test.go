package realserver

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

func TestListens(t *testing.T) {
	for _, tt := range []struct {
		sockets, to string
		want        bool
	}{
		{"", "10.77.0.100:3306", false},
		{"10.77.0.100:3306", "10.77.0.100:3306", true},
		{"0.0.0.0:3306", "10.77.0.100:3306", true},
		{"10.77.0.11:3306 127.0.0.1:3306", "10.77.0.100:3306", false},
		{"0.0.0.0:3307", "10.77.0.100:3306", false},
		{"[::]:3306", "10.77.0.100:3306", false}, // for IPv6 only; one for both is in the list twice
		{"[::]:3306", "[fd00::11]:3306", true},
		{"0.0.0.0:3306", "[fd00::11]:3306", false},
	} {
		var sockets []netip.AddrPort
		for s := range strings.FieldsSeq(tt.sockets) {
			sockets = append(sockets, netip.MustParseAddrPort(s))
		}
		if got := listens(sockets, netip.MustParseAddrPort(tt.to)); got != tt.want {
			t.Errorf("%q for %s: %t", tt.sockets, tt.to, got)
		}
	}
}

// listensOn replaces the listening sockets.
func (m *machine) listensOn(sockets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listening = nil
	for _, s := range sockets {
		m.listening = append(m.listening, netip.MustParseAddrPort(s))
	}
}

// problemCodes are the reported problems, without their times.
func (m *machine) problemCodes() string {
	var all []string
	for _, p := range m.agent.Snapshot().ProblemDetails {
		all = append(all, string(p.Severity)+" "+string(p.Code)+" "+p.Subject)
	}
	return strings.Join(all, ", ")
}

func TestServiceThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			forward         config.Forward
			listens, reason string // "": it is right
		}{
			{config.DR, "0.0.0.0:3306", ""},
			{config.DR, vip + ":3306", ""},
			{config.DR, rip + ":3306", "down: nothing listens on 10.77.0.100:3306, only on 10.77.0.11:3306: clients are refused: set bind_address to 0.0.0.0 (or add 10.77.0.100 to it) and restart the service"},
			{config.DR, "127.0.0.1:3307", "down: nothing listens on 10.77.0.100:3306: clients are refused: start the service"},
			{config.TUN, rip + ":3306", "down: nothing listens on 10.77.0.100:3306, only on 10.77.0.11:3306: "},
			{config.NAT, rip + ":3306", ""},
			{config.NAT, vip + ":3306", "down: nothing listens on 10.77.0.11:3306, only on 10.77.0.100:3306: "},
		} {
			m := newMachine(t, lo, eth0, tunl0)
			m.leadThrough("10.78.0.1")
			m.listensOn(tt.listens)
			m.start(cluster(tt.forward))
			m.pass(2 * listenInterval)
			want := ""
			if tt.reason != "" {
				want = "CRITICAL not_listening " + string(tt.forward)
			}
			if s := m.agent.Snapshot().VirtualServers[0]; m.problemCodes() != want || (s.State == "up") != (want == "") || want != "" && !strings.HasPrefix(s.Reason, tt.reason) {
				t.Errorf("%s on %s: %q, %+v", tt.forward, tt.listens, m.problemCodes(), s)
			}
			m.listensOn(vip+":3306", rip+":3306")
			m.pass(listenInterval + sysctlInterval)
			if got := m.problemCodes(); got != "" {
				t.Errorf("%s on %s: after it listens: %q", tt.forward, tt.listens, got)
			}
			_ = m.stop()
		}
	})
}

// TestServiceRestarts: a service that is gone for a moment is no problem, and neither is a list that cannot be read.
func TestServiceRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, lo, eth0)
		m.start(cluster(config.DR))
		m.listensOn()
		m.pass(listenInterval) // one look
		m.listensOn("0.0.0.0:3306")
		m.pass(10 * time.Second)
		if strings.Contains(m.log.String(), "nothing listens") {
			t.Errorf("a short restart:\n%s", m.log.String())
		}
		m.failing("listeners", errors.New("no sock_diag"))
		m.listensOn()
		m.pass(10 * time.Second)
		if got := m.problemCodes(); got != "" || m.log.Count("cannot list the listening sockets") != 1 {
			t.Errorf("unknown: %q\n%s", got, m.log.String())
		}
		m.failing("listeners", nil)
		m.pass(10 * time.Second)
		if got := m.problemCodes(); got != "CRITICAL not_listening dr" {
			t.Errorf("known again: %q", got)
		}
		m.failing("listeners", errors.New("no sock_diag"))
		m.pass(10 * time.Second)
		if got := m.problemCodes(); got != "" {
			t.Errorf("unknown after a problem: %q", got)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestVIPOnANIC: a real server whose NIC has the VIP answers ARP for it beside the director, which is an outage; on a
// machine that is a director too, it is what the MASTER does.
func TestVIPOnANIC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			prefix   string
			director bool
			want     string
		}{
			{vip + "/24", false, "CRITICAL vip_answers_arp eth0 10.77.0.100/24"},
			{vip + "/32", false, "CRITICAL vip_answers_arp eth0 10.77.0.100/32"},
			{vip + "/32", true, ""},
		} {
			m := newMachine(t, lo, eth0)
			cfg := cluster(config.DR)
			if tt.director {
				cfg.Directors = append(slices.Clone(cfg.Directors), config.Director{Name: node, Address: netip.MustParseAddr(rip)})
			}
			m.start(cfg)
			m.mu.Lock()
			m.addresses = append(m.addresses, addr.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(tt.prefix), Global: true})
			m.mu.Unlock()
			m.tell()
			m.settle()
			if s := m.agent.Snapshot().VirtualServers[0]; m.problemCodes() != tt.want || (s.State == "up") != (tt.want == "") {
				t.Errorf("%s, director %t: %q, %+v", tt.prefix, tt.director, m.problemCodes(), s)
			}
			m.mu.Lock()
			m.drop("eth0", netip.MustParsePrefix(tt.prefix))
			m.mu.Unlock()
			m.tell()
			m.settle()
			if got := m.problemCodes(); got != "" {
				t.Errorf("%s: after its removal: %q", tt.prefix, got)
			}
			_ = m.stop()
		}
	})
}
