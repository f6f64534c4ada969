package vrrpsock

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	ownGroup  = netip.MustParseAddr("239.77.0.18")
	ownGroup6 = netip.MustParseAddr("ff05::77")
)

// join makes a socket of host h a member of groups.
func join(t *testing.T, h host, s *Socket, groups ...netip.Addr) {
	t.Helper()
	h.Do(t, func() error { return s.Join(groups) })
}

// groupsOn returns the multicast groups of eth0, as ip maddr lists them.
func groupsOn(t *testing.T, h host) []string {
	t.Helper()
	return strings.Fields(h.IP(t, "maddr show dev eth0"))
}

// TestJoin: a socket receives from the groups that it was last told to join, of either family, and so does the one that
// samples other packets.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name         string
		hosts        func(*testing.T) (a, b host)
		open         func(*testing.T, host) *Socket
		far          netip.Addr
		family, mine netip.Addr
	}{
		{"IPv4", directors, openIn, far, group, ownGroup},
		{"IPv6", directors6, openIn6, far6, group6, ownGroup6},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.hosts(t)
			s, from := c.open(t, a), c.open(t, b)
			filterTo(t, a, s, 51, 52, 53)
			join(t, a, s, c.family, c.mine)
			join(t, a, s, c.family, c.mine)
			send := func(vrid uint8, to netip.Addr) { must(t, from.Send(ofRouter(vrid), c.far, to)) }
			send(51, c.family)
			send(52, c.mine)
			send(77, c.mine)
			send(53, c.mine)
			if got := arrived(t, s, 53); !slices.Equal(got, []int{51, 52}) {
				t.Errorf("of both groups: read %v, want 51 and 52", got)
			}
			if seen, _ := s.Others(); len(seen) != 1 || seen[0].Payload[1] != 77 || seen[0].Destination != c.mine {
				t.Errorf("others: %v, want one of router 77 to %s", seen, c.mine)
			}

			join(t, a, s, c.mine)
			send(51, c.family)
			send(53, c.mine)
			if got := arrived(t, s, 53); len(got) > 0 {
				t.Errorf("read %v from the group that was left", got)
			}
			if all := groupsOn(t, a); slices.Contains(all, c.family.String()) || !slices.Contains(all, c.mine.String()) {
				t.Errorf("the interface is a member of %v, want %s and not %s", all, c.mine, c.family)
			}
			must(t, s.Close())
			if all := groupsOn(t, a); slices.Contains(all, c.mine.String()) {
				t.Errorf("a closed socket leaves the interface in %v", all)
			}
		})
	}
}

// TestUnicast: adverts between two addresses, over both families, arrive with a TTL of 255; no membership is needed.
func TestUnicast(t *testing.T) {
	a, b := directors6(t)
	a.IP(t, "link set eth0 multicast off")
	for on, addresses := range map[vrrp.Segment][2]netip.Addr{{Interface: "eth0", Family: kernel.IPv4}: {own, far}, on6: {own6, far6}} {
		open := func(h host) (s *Socket) {
			h.Do(t, func() (err error) {
				s, err = Open(on)
				return err
			})
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		s, from := open(a), open(b)
		a.Do(t, func() error {
			if err := s.Join([]netip.Addr{vrrp.Group(on.Family)}); !errors.Is(err, ErrNoMulticast) {
				t.Errorf("Join: %v; want ErrNoMulticast", err)
			}
			return nil
		})
		filterTo(t, a, s, 51)
		must(t, from.Send(advert, addresses[1], addresses[0]))
		if d := next(t, s); d.Source != addresses[1] || d.Destination != addresses[0] || d.TTL != 255 || string(d.Payload) != string(advert) {
			t.Errorf("received %+v", d)
		}
		must(t, s.Send(advert, addresses[0], addresses[1]))
		if d := next(t, from); d.Source != addresses[0] || d.TTL != 255 {
			t.Errorf("received %+v", d)
		}
	}
}

// TestLeastTTL: the filter passes what crossed a router if it was told so.
func TestLeastTTL(t *testing.T) {
	a, b := directors(t)
	s, send := openIn(t, a), raw(t, b)
	a.Do(t, func() error { return s.Filter([]uint8{51, 52}, 254) })
	send(253, nil, ofRouter(51))
	send(254, nil, ofRouter(51))
	send(255, nil, ofRouter(52))
	if got := arrived(t, s, 52); !slices.Equal(got, []int{51}) {
		t.Errorf("read %v, want one advert of router 51", got)
	}
	if seen, _ := s.Others(); len(seen) != 1 || seen[0].TTL != 253 {
		t.Errorf("others: %v, want one with a TTL of 253", seen)
	}
}
