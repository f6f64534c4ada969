package neigh

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func listenIn(t *testing.T, h host, iface string) *Listener {
	t.Helper()
	var l *Listener
	h.Do(t, func() (err error) {
		l, err = Listen(iface, kernel.IPv4)
		return err
	})
	t.Cleanup(l.Close)
	return l
}

// claims waits for claims, and returns them without their ages.
func claims(t *testing.T, l *Listener, watched ...netip.Addr) []kernel.Claim {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := l.Claims(watched)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			all[i].Age = 0
		}
		if len(all) > 0 || time.Now().After(deadline) {
			return all
		}
	}
}

// TestClaims: only the claims of other machines to the watched addresses are reported, each once.
func TestClaims(t *testing.T) {
	other := netip.MustParseAddr("10.77.0.101")
	own, peer := neighbours(t)
	const peerMAC = "02:00:00:00:00:03"
	peer.IP(t, "link set eth0 address %s", peerMAC)
	l := listenIn(t, own, "eth0")
	us, them := openIn(t, own, "eth0"), openIn(t, peer, "eth0")
	announce := func(a *Announcer, vips ...netip.Addr) {
		t.Helper()
		for _, vip := range vips {
			if err := a.Announce(vip); err != nil {
				t.Fatal(err)
			}
		}
	}
	announce(them, vip) // not watched yet
	if all, err := l.Claims([]netip.Addr{vip}); err != nil || len(all) > 0 {
		t.Errorf("before anything was watched: %v, %v", all, err)
	}
	announce(us, vip)
	announce(them, other, vip)
	want := []kernel.Claim{{Address: vip, HardwareAddr: peerMAC}}
	if got := claims(t, l, vip); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	_, _ = l.Claims([]netip.Addr{vip, other}) // the reply, and the change of the filter
	announce(them, other)
	want[0].Address = other
	if got := claims(t, l, vip, other); !slices.Equal(got, want) {
		t.Errorf("after a change of the list: %v, want %v", got, want)
	}
	own.IP(t, "link del eth0")
	if all, err := l.Claims([]netip.Addr{vip}); err == nil || len(all) > 0 {
		t.Errorf("the interface is gone: %v, %v", all, err)
	}
}

// TestAge: a claim that waits in the socket has the age of its last packet.
func TestAge(t *testing.T) {
	own, peer := neighbours(t)
	l := listenIn(t, own, "eth0")
	them := openIn(t, peer, "eth0")
	if _, err := l.Claims([]netip.Addr{vip}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // until the kernel stamps packets when they arrive (net_enable_timestamp is deferred)
		if err := them.Announce(vip); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if all, err := l.Claims([]netip.Addr{vip}); err != nil || time.Now().After(deadline) || len(all) == 1 && all[0].Age >= 15*time.Millisecond {
			break
		}
	}
	var before, after time.Time // of the last packet
	for range 3 {
		before = time.Now()
		if err := them.Announce(vip); err != nil {
			t.Fatal(err)
		}
		after = time.Now()
		time.Sleep(30 * time.Millisecond)
	}
	read := time.Now()
	all, err := l.Claims([]netip.Addr{vip})
	if err != nil || len(all) != 1 || all[0].Age < read.Sub(after)-time.Millisecond || all[0].Age > time.Since(before) {
		t.Errorf("%v, %v: want one of an age of %s to %s", all, err, read.Sub(after), time.Since(before))
	}
}

func TestListenRefusals(t *testing.T) {
	own, _ := neighbours(t)
	for iface, want := range map[string]error{"eth7": kernel.ErrNoInterface, "lo": ErrNotEthernet} {
		own.Do(t, func() error {
			if _, err := Listen(iface, kernel.IPv4); !errors.Is(err, want) {
				t.Errorf("Listen(%s): %v, want %v", iface, err, want)
			}
			return nil
		})
	}
}

// TestFilter: the kernel passes only packets of the watched addresses, and queues nothing else.
func TestFilter(t *testing.T) {
	run := func(p []unix.SockFilter, sender netip.Addr) uint32 {
		four := sender.As4()
		for at, value := 0, uint32(0); ; at++ {
			switch i := p[at]; {
			case i.Code == unix.BPF_LD|unix.BPF_W|unix.BPF_ABS && i.K == senderAddress:
				value = binary.BigEndian.Uint32(four[:])
			case i.Code == unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K && value == i.K:
				at += int(i.Jt)
			case i.Code == unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K:
				at += int(i.Jf)
			case i.Code == unix.BPF_RET|unix.BPF_K:
				return i.K
			default:
				t.Fatalf("instruction %d: %+v", at, i)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{10, 77, 0, rapid.ByteRange(0, 9).Draw(t, "host")})
		})
		watched, sender := rapid.SliceOfN(address, 0, 6).Draw(t, "watched"), address.Draw(t, "sender")
		if passed := run(claimsOf(watched), sender) >= frameSize; passed != slices.Contains(watched, sender) {
			t.Errorf("a packet of %s passes: %t, watched: %v", sender, passed, watched)
		}
	})
}

// More addresses than a filter can compare are filtered by the listener.
func TestManyWatchedAddresses(t *testing.T) {
	own, peer := neighbours(t)
	l, them := listenIn(t, own, "eth0"), openIn(t, peer, "eth0")
	for _, n := range []int{watchedMost, watchedMost + 1} {
		many := make([]netip.Addr, n)
		for i := range many {
			many[i] = netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)})
		}
		if _, err := l.Claims(many); err != nil {
			t.Fatal(err)
		}
		for _, a := range []netip.Addr{vip, many[n-1]} {
			if err := them.Announce(a); err != nil {
				t.Fatal(err)
			}
		}
		if all := claims(t, l, many...); len(all) != 1 || all[0].Address != many[n-1] {
			t.Errorf("%d watched: %v", n, all)
		}
		time.Sleep(10 * time.Millisecond)
		_, _ = l.Claims(many)
	}
}

// TestParseClaim: no bytes make it panic, and our own announcements parse.
func TestParseClaim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if frame := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "frame"); len(frame) > 0 {
			_, _, _ = parseClaim(frame)
		}
		sender := mac(rapid.SliceOfN(rapid.Byte(), macSize, macSize).Draw(t, "sender"))
		frame := gratuitous(rapid.SampledFrom([]operation{request, reply}).Draw(t, "op"), sender, vip)
		c, from, ok := parseClaim(frame[:])
		if !ok || from != sender || c.Address != vip {
			t.Errorf("%v, %v, %t", c, from, ok)
		}
		if _, _, ok := parseClaim(frame[:frameSize-1]); ok {
			t.Error("a truncated frame parses")
		}
	})
}
