package neigh

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var vip6 = netip.MustParseAddr("fd00:77::100")

// The bytes of a neighbour advertisement; TestNAIsValid shows that Linux finds them right.
func TestUnsolicitedGolden(t *testing.T) {
	sender := mac{0x02, 0, 0, 0, 0, 1}
	const ip, all = "fd000077000000000000000000000100", "ff020000000000000000000000000001"
	for router, want := range map[bool]string{
		false: "8800" + "57af" + "20000000",
		true:  "8800" + "d7ae" + "a0000000",
	} {
		f := unsolicited(sender, vip6, router)
		want := "333300000001" + "020000000001" + "86dd" + "60000000" + "0020" + "3a" + "ff" + ip + all + want + ip + "0201" + "020000000001"
		if got := hex.EncodeToString(f[:]); got != want {
			t.Errorf("router %t:\n got %s\nwant %s", router, got, want)
		}
	}
}

// The checksum is right for any address: the sum of everything with it is all ones.
func TestChecksumOfNA(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := unsolicited(mac(rapid.SliceOfN(rapid.Byte(), macSize, macSize).Draw(t, "sender")),
			netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "vip"))), rapid.Bool().Draw(t, "router"))
		if rest := checksum(f[ethernetSize:]); rest != 0 {
			t.Errorf("% x: %#x", f, rest)
		}
	})
}

// neighbours6 are two connected hosts with fd00:77::2 and fd00:77::3.
func neighbours6(t *testing.T) (own, peer host) {
	t.Helper()
	own, peer = neighbours(t)
	own.IP(t, "addr add fd00:77::2/64 dev eth0 nodad")
	peer.IP(t, "addr add fd00:77::3/64 dev eth0 nodad")
	return own, peer
}

// A neighbour with an entry of any kind sends to the new hardware address, also when the old one has been confirmed a
// moment ago. The router flag is that of the kernel's own answers.
func TestNeighbourOfIPv6Follows(t *testing.T) {
	own, peer := neighbours6(t)
	a := openIn(t, own, "eth0")
	for n, state := range []string{"reachable", "stale", "delay"} {
		forwarding := n == 1
		own.Do(t, func() error {
			setting := map[bool]string{false: "0", true: "1"}[forwarding]
			return os.WriteFile("/proc/sys/net/ipv6/conf/eth0/forwarding", []byte(setting), 0o644)
		})
		peer.IP(t, "neigh replace %s lladdr 02:00:00:00:00:99 dev eth0 nud %s", vip6, state)
		own.Do(t, func() error { return a.Announce(vip6) }) // the sysctl is read there
		var got string
		for deadline := time.Now().Add(2 * time.Second); ; {
			if got = peer.IP(t, "neigh show %s", vip6); strings.Contains(got, ownMAC) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: ip neigh on the peer: %q; want %s", state, got, ownMAC)
			}
		}
		if strings.Contains(got, "router") != forwarding {
			t.Errorf("forwarding %t, ip neigh on the peer: %q", forwarding, got)
		}
	}
}

// TestNAIsValid: the peer's kernel counts the announcement as received, and not as an error.
func TestNAIsValid(t *testing.T) {
	own, peer := neighbours6(t)
	a := openIn(t, own, "eth0")
	count := func(name string) (n int) {
		t.Helper()
		peer.Do(t, func() error {
			text, err := os.ReadFile("/proc/thread-self/net/snmp6")
			for line := range strings.Lines(string(text)) {
				if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
					_, err = fmt.Sscan(fields[1], &n)
				}
			}
			return err
		})
		return n
	}
	before, wrong := count("Icmp6InNeighborAdvertisements"), count("Icmp6InErrors")
	for range 5 {
		if err := a.Announce(vip6); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(2 * time.Second); count("Icmp6InNeighborAdvertisements") < before+5; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 5 are received", count("Icmp6InNeighborAdvertisements")-before)
		}
	}
	if n := count("Icmp6InErrors"); n != wrong {
		t.Errorf("%d errors", n-wrong)
	}
}

// capture6 listens for IPv6 on eth0 of a host.
func capture6(t *testing.T, h host) *packet.Conn { return captureOf(t, h, unix.ETH_P_IPV6) }

// TestClaimsOfIPv6: only the advertisements of other machines for the watched addresses are reported, each once: ours,
// those that Linux sends itself, and those of others with the same last bytes.
func TestClaimsOfIPv6(t *testing.T) {
	own, peer := neighbours6(t)
	const peerMAC = "02:00:00:00:00:03"
	peer.IP(t, "link set eth0 address %s", peerMAC)
	var l *Listener
	own.Do(t, func() (err error) {
		l, err = Listen("eth0", kernel.IPv6)
		return err
	})
	t.Cleanup(l.Close)
	us, them := openIn(t, own, "eth0"), openIn(t, peer, "eth0")
	watched := []netip.Addr{vip6, vip} // the listener of IPv6 ignores addresses of IPv4
	if all, err := l.Claims(watched); err != nil || len(all) > 0 {
		t.Errorf("before anything was watched: %v, %v", all, err)
	}
	alike := netip.MustParseAddr("fd00:78::100")
	for _, one := range []struct {
		a   *Announcer
		vip netip.Addr
	}{{us, vip6}, {them, alike}, {them, vip}, {them, vip6}, {them, vip6}} {
		if err := one.a.Announce(one.vip); err != nil {
			t.Fatal(err)
		}
	}
	want := []kernel.Claim{{Address: vip6, HardwareAddr: peerMAC}}
	if got := claims(t, l, watched...); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	_, _ = l.Claims(watched)
	// Linux announces its addresses by itself when its hardware address has changed, if it is told to.
	peer.Do(t, func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/eth0/ndisc_notify", []byte("1"), 0o644) })
	peer.IP(t, "addr add %s/64 dev eth0 nodad", vip6)
	want[0].HardwareAddr = "02:00:00:00:00:04"
	peer.IP(t, "link set eth0 address %s", want[0].HardwareAddr)
	if got := claims(t, l, watched...); !slices.Equal(got, want) {
		t.Errorf("an advertisement of Linux: %v, want %v", got, want)
	}
	own.IP(t, "link del eth0")
	if all, err := l.Claims(watched); err == nil || len(all) > 0 {
		t.Errorf("the interface is gone: %v, %v", all, err)
	}
}

func TestListenRefusesIPv6(t *testing.T) {
	own, _ := neighbours(t)
	for iface, want := range map[string]error{"eth7": kernel.ErrNoInterface, "lo": ErrNotEthernet} {
		own.Do(t, func() error {
			if _, err := Listen(iface, kernel.IPv6); !errors.Is(err, want) {
				t.Errorf("Listen(%s): %v, want %v", iface, err, want)
			}
			return nil
		})
	}
}

// More addresses than the filter can compare are compared by the listener.
func TestManyWatchedAddressesOfIPv6(t *testing.T) {
	own, peer := neighbours6(t)
	var l *Listener
	own.Do(t, func() (err error) {
		l, err = Listen("eth0", kernel.IPv6)
		return err
	})
	t.Cleanup(l.Close)
	them := openIn(t, peer, "eth0")
	for _, n := range []int{watchedMost, watchedMost + 1} {
		many := make([]netip.Addr, n)
		for i := range many {
			many[i] = netip.MustParseAddr(fmt.Sprintf("fd00:77::1:%x", i))
		}
		if _, err := l.Claims(many); err != nil {
			t.Fatal(err)
		}
		for _, a := range []netip.Addr{vip6, many[n-1]} {
			if err := them.Announce(a); err != nil {
				t.Fatal(err)
			}
		}
		if all := claims(t, l, many...); len(all) != 1 || all[0].Address != many[n-1] {
			t.Errorf("%d watched: %v", n, all)
		}
		_, _ = l.Claims(many)
	}
}

// The frame leaves as it was encoded.
func TestNAOnTheWire(t *testing.T) {
	own, peer := neighbours6(t)
	a, c := openIn(t, own, "eth0"), capture6(t, peer)
	if err := a.Announce(vip6); err != nil {
		t.Fatal(err)
	}
	frame := unsolicited(mac{2, 0, 0, 0, 0, 1}, vip6, false)
	want := []string{fmt.Sprintf("% x", frame[:])}
	for {
		got := frames(t, c, 1)
		if len(got) == 1 && !strings.Contains(got[0], "fd 00 00 77 00 00 00 00 00 00 00 00 00 00 01 00") {
			continue // of the hosts themselves
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("on the peer (-want +got):\n%s", diff)
		}
		return
	}
}

// FuzzNA: no bytes make the parser panic, and what it accepts has an address.
func FuzzNA(f *testing.F) {
	frame := unsolicited(mac{2, 0, 0, 0, 0, 1}, vip6, true)
	f.Add(frame[:])
	f.Add(frame[:naSize-1])
	f.Add(frame[:targetAt+16])
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, sender, ok := parseNA(b); ok && (!c.Address.IsValid() || c.HardwareAddr != net.HardwareAddr(sender[:]).String()) {
			t.Errorf("%+v", c)
		}
	})
}

func TestParseNA(t *testing.T) {
	sender := mac{2, 0, 0, 0, 0, 1}
	whole := unsolicited(sender, vip6, true)
	change := func(at int, value byte) []byte {
		f := slices.Clone(whole[:])
		f[at] = value
		return f
	}
	other := change(naSize-1, 9)
	for name, tt := range map[string]struct {
		frame []byte
		mac   mac
		ok    bool
	}{
		"ours":                               {whole[:], sender, true},
		"without an option":                  {whole[:targetAt+16], sender, true},
		"with another address in the option": {other, mac{2, 0, 0, 0, 0, 9}, true},
		"behind an unknown option":           {slices.Concat(whole[:targetAt+16], []byte{14, 1, 0, 0, 0, 0, 0, 0}, other[targetAt+16:]), mac{2, 0, 0, 0, 0, 9}, true},
		"an option of no length":             {change(targetAt+17, 0), sender, false},
		"an option that is cut off":          {whole[:naSize-1], sender, false},
		"cut off":                            {whole[:targetAt+15], mac{}, false},
		"ARP":                                {change(13, 6), mac{}, false},
		"TCP":                                {change(ethernetSize+6, 6), mac{}, false},
		"from a router":                      {change(ethernetSize+7, 254), mac{}, false},
		"a solicitation":                     {change(icmpOffset, 135), mac{}, false},
		"another code":                       {change(icmpOffset+1, 1), mac{}, false},
	} {
		c, from, ok := parseNA(tt.frame)
		if ok != tt.ok || from != tt.mac || ok && c.Address != vip6 {
			t.Errorf("%s: %+v, %v, %t", name, c, from, ok)
		}
	}
}
