package neigh

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestEvidence: what a switch or this machine sends by itself says nothing about others.
func TestEvidence(t *testing.T) {
	four := func(protocol string) string {
		return "4500001c00000000ff" + protocol + "0000" + "0a4d0003" + "e0000012"
	}
	six := func(next, kind string) string {
		return "600000000004" + next + "ff" + strings.Repeat("00", 32) + kind + "00"
	}
	for _, c := range []struct {
		name     string
		protocol uint16
		forUs    bool
		packet   string
		want     bool
	}{
		{"ARP", unix.ETH_P_ARP, false, "0001", true},
		{"a packet to this machine", unix.ETH_P_IP, true, four("06"), true},
		{"an advert", unix.ETH_P_IP, false, four("70"), true},
		{"IGMP, as of a switch", unix.ETH_P_IP, false, four("02"), false},
		{"a broadcast", unix.ETH_P_IP, false, four("11"), false},
		{"a short packet", unix.ETH_P_IP, true, "4500", false},
		{"an advert of IPv6", unix.ETH_P_IPV6, false, six("70", "31"), true},
		{"a packet of IPv6 to this machine", unix.ETH_P_IPV6, true, six("06", "00"), true},
		{"a neighbour solicitation", unix.ETH_P_IPV6, false, six("3a", "87"), true},
		{"a router advertisement", unix.ETH_P_IPV6, false, six("3a", "86"), true},
		{"MLD, as of a switch", unix.ETH_P_IPV6, false, six("3a", "82"), false},
		{"a short packet of IPv6", unix.ETH_P_IPV6, true, "6000", false},
		{"spanning tree", unix.ETH_P_802_2, false, "424203", false},
		{"LLDP", 0x88cc, false, "0207", false},
		{"LLDP to this machine", 0x88cc, true, "0207", false},
	} {
		b, err := hex.DecodeString(c.packet)
		if err != nil {
			t.Fatal(err)
		}
		if got := evidence(c.protocol, c.forUs, b); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestHear: another machine is heard by its answer; one on another VLAN is not, nor is silence.
func TestHear(t *testing.T) {
	own, peer := neighbours(t)
	for _, h := range []host{own, peer} { // which sends by itself
		h.Do(t, func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0o644) })
	}
	hears := func(source, target string, limit time.Duration) error {
		return heard(t, own, "eth0", source, target, limit)
	}
	silent := func(name string) {
		t.Helper()
		if err := hears("192.0.2.1", "192.0.2.2", 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	own.IP(t, "addr add 192.0.2.1/24 dev eth0")
	silent("nobody has the address")
	// Without a VLAN interface the kernel keeps the tag of a packet beside it, as a network card does.
	answer := gratuitous(reply, mac{2, 0, 0, 0, 0, 9}, netip.MustParseAddr("192.0.2.9"))
	tagged := func(vlan byte) []byte {
		return slices.Concat(answer[:12], []byte{0x81, 0, 0x20, vlan}, answer[12:])
	}
	stop := sends(t, peer, tagged(7))
	silent("there are packets of another VLAN")
	stop()
	stop = sends(t, peer, tagged(0))
	if err := hears("192.0.2.1", "192.0.2.2", time.Minute); err != nil {
		t.Errorf("a packet with a priority and without a VLAN: %v", err)
	}
	stop()
	peer.IP(t, "addr add 192.0.2.2/24 dev eth0")
	for _, source := range []string{"192.0.2.1", ""} {
		if err := hears(source, "192.0.2.2", time.Minute); err != nil {
			t.Errorf("from %q: %v", source, err)
		}
	}
	own.IP(t, "link set eth0 down")
	silent("the interface is down")
	for name, want := range map[string]error{"eth7": kernel.ErrNoInterface, "lo": ErrNotEthernet} {
		if err := heard(t, own, name, "", "192.0.2.2", time.Minute); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHearIPv6: an answer to a solicitation is heard.
func TestHearIPv6(t *testing.T) {
	own, peer := neighbours6(t)
	own.IP(t, "addr add fe80::1/64 dev eth0 nodad")
	peer.IP(t, "addr add 2001:db8:7::2/64 dev eth0 nodad")
	for _, source := range []string{"fe80::1", ""} {
		if err := heard(t, own, "eth0", source, "2001:db8:7::2", time.Minute); err != nil {
			t.Errorf("from %q: %v", source, err)
		}
	}
}

// heard is Hear in a host; source is "" for none.
func heard(t *testing.T, in host, iface, source, target string, limit time.Duration) (err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	from, _ := netip.ParseAddr(source)
	in.Do(t, func() error {
		err = Hear(ctx, iface, from, []netip.Addr{netip.MustParseAddr(target)}, 10*time.Millisecond)
		return nil
	})
	return err
}

// sends lets a machine send a frame every millisecond until stop is called.
func sends(t *testing.T, from host, frame []byte) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- from.Enter(func() error {
			a, err := open("eth0")
			if err != nil {
				return err
			}
			defer a.Close()
			for ctx.Err() == nil {
				if err := a.send(frame); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		})
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sending: %v", err)
		}
	}
}
