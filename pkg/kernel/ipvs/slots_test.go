package ipvs

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// slotsClients is how many clients there are.
const slotsClients = 60

// hashed is a virtual server of UDP with mh and fallback, and three real servers.
func hashed(port uint16, weights ...int) lvs.Service {
	s := lvs.Service{
		Key: lvs.Key{Protocol: "udp", Address: netip.MustParseAddr("10.77.0.100"), Port: port}, Scheduler: "mh", Flags: lvs.Flag1,
	}
	for n, w := range weights {
		s.Servers = append(s.Servers, server(fmt.Sprintf("10.77.0.%d", 11+n), config.DR, w))
	}
	return s
}

// assigned sends a packet of each client to a port, and returns which real server each has got.
func assigned(t *testing.T, port uint16) map[netip.Addr]netip.Addr {
	t.Helper()
	for n := range slotsClients {
		from := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("10.78.0.%d:0", n+1)))
		c, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("10.77.0.100"), port)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	all := map[netip.Addr]netip.Addr{}
	if err := Connections(within(t, 10*time.Second), func(c lvs.Connection) {
		if c.Virtual.Port() == port {
			all[c.Client.Addr()] = c.Server.Addr()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) != slotsClients {
		t.Errorf("port %d: %d clients have a real server, want %d", port, len(all), slotsClients)
	}
	return all
}

// TestSlots: a table that is made while a real server of mh is down assigns clients as one in which it has gone down, and the
// digest says so; without its slots some clients of the others would be assigned differently.
func TestSlots(t *testing.T) {
	table := openTable(t)
	for _, command := range []string{
		"ip link add dummy0 type dummy", "ip link set dummy0 up", "ip addr add 10.77.0.2/24 dev dummy0", "ip addr add 10.77.0.100/32 dev lo",
	} {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
	}
	var addresses strings.Builder
	for n := range slotsClients {
		fmt.Fprintf(&addresses, "addr add 10.78.0.%d/32 dev lo\n", n+1)
	}
	batch := exec.Command("ip", "-batch", "-")
	batch.Stdin = strings.NewReader(addresses.String())
	if out, err := batch.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v %s", err, out)
	}
	const ran, started, bare = 1001, 1002, 1003
	become(t, table, []lvs.Service{hashed(ran, 1, 1, 1)})
	slotted := hashed(started, 0, 1, 1)
	slotted.Servers[0].Slots = 1
	become(t, table, []lvs.Service{hashed(ran, 0, 1, 1), slotted, hashed(bare, 0, 1, 1)})
	want := assigned(t, ran)
	if got := assigned(t, started); !maps.Equal(got, want) {
		t.Errorf("clients are assigned\n%v\nwant\n%v", got, want)
	}
	if got := assigned(t, bare); maps.Equal(got, want) {
		t.Error("without slots clients are assigned alike: this test shows nothing")
	}
	digests := map[uint16]string{}
	seen, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		digests[s.Port] = s.Assignment
	}
	if digests[ran] == "" || digests[ran] != digests[started] {
		t.Errorf("the digests are %v", digests)
	}
}
