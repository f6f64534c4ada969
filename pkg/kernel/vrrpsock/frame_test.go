package vrrpsock

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var virtual4 = kernel.MAC{0, 0, 0x5e, 0, 1, 0x33}

// TestAdvertFromAVirtualMAC: the frame has the given source MAC address and in everything else is what Send sends, and a
// peer receives it from the source address.
func TestAdvertFromAVirtualMAC(t *testing.T) {
	a, b := directors(t)
	received := capture(t, b)
	from, to := openIn(t, a), openIn(t, b)
	must(t, from.Send(advert, own, group))
	plain := bytes.Clone(received())
	_ = next(t, to)
	a.Do(t, func() error { return from.SendFrom(virtual4, advert, own, group) })
	f := received()
	if got, want := hex.EncodeToString(f[:14]), "01005e000012"+"00005e000133"+"0800"; got != want {
		t.Errorf("Ethernet header %s, want %s", got, want)
	}
	for _, packet := range [][]byte{plain, f} { // the kernel counts its packets, also those that are not fragmented
		copy(packet[18:20], []byte{0, 0})
		copy(packet[24:26], []byte{0, 0}) // a peer that receives it has found the checksum to be right
	}
	if diff := cmp.Diff(plain[14:], f[14:]); diff != "" {
		t.Errorf("IPv4 (-Send +SendFrom):\n%s", diff)
	}
	want := vrrp.Datagram{Payload: advert, Source: own, Destination: group, TTL: 255}
	if diff := cmp.Diff(want, next(t, to), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestAdvertFromAVirtualMACOverIPv6(t *testing.T) {
	a, b := directors6(t)
	from, to := openIn6(t, a), openIn6(t, b)
	a.Do(t, func() error { return from.SendFrom(kernel.MAC{0, 0, 0x5e, 0, 2, 0x33}, advert, own6, group6) })
	want := vrrp.Datagram{Payload: advert, Source: own6, Destination: group6, TTL: 255}
	if diff := cmp.Diff(want, next(t, to), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	f := frame(kernel.MAC{0, 0, 0x5e, 0, 2, 0x33}, []byte{1, 2}, own6, group6)
	const header = "333300000012" + "00005e000233" + "86dd" + "6c000000" + "0002" + "70" + "ff"
	if got := hex.EncodeToString(f[:22]); got != header {
		t.Errorf("headers %s, want %s", got, header)
	}
}

// TestFramesOfKeepalived: our frame for an advert of a keepalived with use_vmac is that of keepalived, with the exception of
// the identification, the flags and so the checksum of the IPv4 header, and of the flow label of IPv6.
func TestFramesOfKeepalived(t *testing.T) {
	for _, name := range []string{"v2_vmac", "v3_vmac", "v3_vmac_resign", "v3_ip6_vmac", "v3_ip6_vmac_resign"} {
		dump, err := os.ReadFile("../../vrrp/testdata/keepalived/" + name + ".txt")
		must(t, err)
		var digits strings.Builder
		for line := range strings.Lines(string(dump)) {
			_, data, _ := strings.Cut(line, ":")
			digits.WriteString(strings.Join(strings.Fields(data), ""))
		}
		want, err := hex.DecodeString(digits.String())
		must(t, err)
		source, destination, size := want[26:30], want[30:34], ethernetSize+ipv4Size
		if want[12] == 0x86 {
			source, destination, size = want[22:38], want[38:54], ethernetSize+ipv6Size
		}
		from, _ := netip.AddrFromSlice(source)
		to, _ := netip.AddrFromSlice(destination)
		got := frame(kernel.MAC(want[6:12]), want[size:], from, to)
		for _, f := range [][]byte{got, want} {
			if from.Is4() {
				copy(f[18:22], make([]byte, 4))
				copy(f[24:26], make([]byte, 2))
			} else {
				copy(f[16:18], make([]byte, 2))
				f[15] &= 0xf0
			}
		}
		if diff := cmp.Diff(hex.EncodeToString(want), hex.EncodeToString(got)); diff != "" {
			t.Errorf("%s (-keepalived +ours):\n%s", name, diff)
		}
	}
}

func TestSendFromRefuses(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	for _, one := range []struct {
		source, destination netip.Addr
		want                error
	}{
		{netip.Addr{}, group, ErrNoSource},
		{own6, group, ErrNoSource},
		{own, far, ErrNoDestination},
		{own, group6, ErrNoDestination},
	} {
		if err := s.SendFrom(virtual4, advert, one.source, one.destination); !errors.Is(err, one.want) {
			t.Errorf("from %v to %v: %v; want %v", one.source, one.destination, err, one.want)
		}
	}
	a.IP(t, "link set eth0 down")
	a.Do(t, func() error {
		if err := s.SendFrom(virtual4, advert, own, group); !errors.Is(err, unix.ENETDOWN) {
			t.Errorf("on an interface that is down: %v", err)
		}
		return nil
	})
	a.IP(t, "link del eth0")
	a.Do(t, func() error {
		if err := s.SendFrom(virtual4, advert, own, group); !errors.Is(err, kernel.ErrNoInterface) {
			t.Errorf("without the interface: %v", err)
		}
		return nil
	})
	must(t, s.Close())
	if err := s.SendFrom(virtual4, advert, own, group); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
