package vrrpsock

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
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
