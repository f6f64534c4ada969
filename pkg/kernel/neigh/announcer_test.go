package neigh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

const ownMAC = "02:00:00:00:00:01"

var vip = netip.MustParseAddr("10.77.0.100")

// neighbours are two connected hosts; eth0 of the first has ownMAC.
func neighbours(t *testing.T) (own, peer host) {
	t.Helper()
	own, peer = newHost(t), newHost(t)
	netnstest.Wire(t, own, peer)
	own.IP(t, "link set eth0 address %s", ownMAC)
	own.IP(t, "addr add 10.77.0.2/24 dev eth0")
	peer.IP(t, "addr add 10.77.0.3/24 dev eth0")
	return own, peer
}

func openIn(t *testing.T, h host, iface string) *Announcer {
	t.Helper()
	var a *Announcer
	h.Do(t, func() (err error) {
		a, err = Open(iface)
		return err
	})
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// capture listens for ARP on eth0 of a host.
func capture(t *testing.T, h host) *packet.Conn { return captureOf(t, h, unix.ETH_P_ARP) }

// captureOf listens for a protocol on eth0 of a host.
func captureOf(t *testing.T, h host, protocol int) *packet.Conn {
	t.Helper()
	var c *packet.Conn
	h.Do(t, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		return err
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// frames reads n frames, or fewer if none arrives for a while.
func frames(t *testing.T, c *packet.Conn, n int) []string {
	t.Helper()
	var all []string
	for len(all) < n {
		b := make([]byte, 2000)
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		size, _, err := c.ReadFrom(b)
		if err != nil {
			t.Errorf("capture after %d frames: %v", len(all), err)
			return all
		}
		all = append(all, fmt.Sprintf("% x", b[:size]))
	}
	return all
}

// both returns the two frames of one announcement as captured.
func both(hardware string) []string {
	m := strings.ReplaceAll(hardware, ":", " ")
	const ip = "0a 4d 00 64"
	head := "ff ff ff ff ff ff " + m + " 08 06 00 01 08 00 06 04 "
	return []string{
		head + "00 01 " + m + " " + ip + " 00 00 00 00 00 00 " + ip,
		head + "00 02 " + m + " " + ip + " " + m + " " + ip,
	}
}

func TestAnnounceIsCaptured(t *testing.T) {
	own, peer := neighbours(t)
	a, c := openIn(t, own, "eth0"), capture(t, peer)
	if err := a.Announce(vip); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(both(ownMAC), frames(t, c, 2)); diff != "" {
		t.Errorf("on the peer (-want +got):\n%s", diff)
	}

	// A changed hardware address is used.
	const second = "02:00:00:00:00:02"
	own.IP(t, "link set eth0 address %s", second)
	if err := a.Announce(netip.AddrFrom16(vip.As16())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(both(second), frames(t, c, 2)); diff != "" {
		t.Errorf("after the change of address (-want +got):\n%s", diff)
	}
}

// A deadline that expired while the process was stalled does not prevent an announcement.
func TestAnnounceAfterAStall(t *testing.T) {
	own, peer := neighbours(t)
	a, c := openIn(t, own, "eth0"), capture(t, peer)
	if err := a.conn.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := a.Announce(vip); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(both(ownMAC), frames(t, c, 2)); diff != "" {
		t.Errorf("on the peer (-want +got):\n%s", diff)
	}
}

// The purpose: a neighbour with an old entry sends to the new hardware address.
func TestNeighbourFollows(t *testing.T) {
	own, peer := neighbours(t)
	a := openIn(t, own, "eth0")
	peer.IP(t, "neigh replace %s lladdr 02:00:00:00:00:99 dev eth0 nud reachable", vip)
	if err := a.Announce(vip); err != nil {
		t.Fatal(err)
	}
	var got string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		if got = peer.IP(t, "neigh show %s", vip); strings.Contains(got, ownMAC) {
			return
		}
	}
	t.Errorf("ip neigh on the peer: %q; want %s", got, ownMAC)
}

// The socket receives nothing, so no packets accumulate in its queue.
func TestReceivesNothing(t *testing.T) {
	own, peer := neighbours(t)
	_ = openIn(t, own, "eth0")
	captured := capture(t, own) // shows when the frames have arrived
	from := openIn(t, peer, "eth0")
	for range 20 {
		if err := from.Announce(vip); err != nil {
			t.Fatal(err)
		}
	}
	_ = frames(t, captured, 40)
	var table []byte
	own.Do(t, func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/packet")
		return err
	})
	// sk RefCnt Type Proto Iface R Rmem User Inode
	sending := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 6 && f[3] == "0000" {
			sending++
			if f[6] != "0" {
				t.Errorf("%s bytes are queued on the sending socket", f[6])
			}
		}
	}
	if sending != 1 {
		t.Errorf("%d sockets without a protocol; want the announcer's:\n%s", sending, table)
	}
}

func TestInterfaceStates(t *testing.T) {
	own, _ := neighbours(t)
	a := openIn(t, own, "eth0")
	own.IP(t, "link set eth0 down")
	if err := a.Announce(vip); !errors.Is(err, ErrDown) {
		t.Errorf("while down: %v; want ErrDown", err)
	}
	own.IP(t, "link set eth0 up")
	if err := a.Announce(vip); err != nil {
		t.Errorf("up again: %v", err)
	}
	own.Rename(t, "eth0", "wan0")
	if err := a.Announce(vip); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("renamed: %v; want ErrNoInterface", err)
	}
	own.IP(t, "link add eth0 type bridge")
	if err := a.Announce(vip); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("another one has the name: %v; want ErrNoInterface", err)
	}
	own.IP(t, "link del eth0")
	own.Rename(t, "wan0", "eth0")
	if err := a.Announce(vip); err != nil {
		t.Errorf("named as before: %v", err)
	}
	own.IP(t, "link del eth0")
	if err := a.Announce(vip); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("removed: %v; want ErrNoInterface", err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := a.Announce(vip); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v; want net.ErrClosed", err)
	}
}

func TestRefusals(t *testing.T) {
	own, _ := neighbours(t)
	own.IP(t, "link add br0 type bridge")
	if _, err := os.Stat("/dev/net/tun"); err == nil {
		own.IP(t, "tuntap add mode tun name none0")
	} else { // a kernel with IPVS has this one
		own.IP(t, "link add none0 type ipip local 192.0.2.1 remote 192.0.2.2")
	}
	a := openIn(t, own, "br0")
	if err := a.Announce(netip.Addr{}); !errors.Is(err, ErrNoAddress) {
		t.Errorf("Announce of nothing: %v", err)
	}
	for _, c := range []struct {
		iface string
		want  error
		text  string
	}{
		{"eth7", kernel.ErrNoInterface, "open the socket for announcements on eth7: no such network interface (see: ip link)"},
		{"none0", kernel.ErrNoNeighbours, "open the socket for announcements on none0: the interface has no ARP"},
		{"lo", ErrNotEthernet, "open the socket for announcements on lo: not an Ethernet interface: it has no hardware address to announce, use the NIC that faces the clients"},
	} {
		own.Do(t, func() error {
			_, err := Open(c.iface)
			if !errors.Is(err, c.want) || err.Error() != c.text {
				t.Errorf("Open(%s): %v; want %s", c.iface, err, c.text)
			}
			return nil
		})
	}
	own.Do(t, func() error {
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			return err
		}
		want := "open the socket for announcements on eth0: not permitted: needs CAP_NET_RAW, run as root, or grant this in the service unit"
		if _, err := Open("eth0"); !errors.Is(err, kernel.ErrNotPermitted) || err.Error() != want {
			t.Errorf("Open without capabilities: %v; want %s", err, want)
		}
		return nil
	})
}
