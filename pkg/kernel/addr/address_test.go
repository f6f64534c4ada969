package addr

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

var (
	vip1 = netip.MustParsePrefix("10.77.0.100/32")
	vip6 = netip.MustParsePrefix("fd00::100/128")
)

// openIn opens a handle in a host.
func openIn(t *testing.T, h host) *Handle {
	t.Helper()
	var a *Handle
	h.Do(t, func() (err error) {
		a, err = Open()
		return err
	})
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// director is a host with eth0 and the address 10.77.0.2/24 on it.
func director(t *testing.T) (host, *Handle) {
	t.Helper()
	h, peer := newHost(t), newHost(t)
	netnstest.Wire(t, h, peer)
	h.IP(t, "addr add 10.77.0.2/24 dev eth0")
	return h, openIn(t, h)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shown returns the output of iproute2 about the VIP.
func shown(t *testing.T, h host) string {
	t.Helper()
	return h.IP(t, "-o addr show to %s", vip1)
}

func TestPutIsSeenByIP(t *testing.T) {
	h, a := director(t)
	must(t, a.Put("eth0", vip1, 60*time.Second))
	got := shown(t, h)
	for _, want := range []string{"inet 10.77.0.100/32 scope global", "valid_lft 60sec"} {
		if !strings.Contains(got, want) && !strings.Contains(got, strings.Replace(want, "60", "59", 1)) {
			t.Errorf("ip addr: %q; want %q in it", got, want)
		}
	}
	if strings.Contains(got, "brd") {
		t.Errorf("ip addr: %q; want no broadcast address", got)
	}
}

func TestPutIsIdempotent(t *testing.T) {
	h, a := director(t)
	for range 3 {
		must(t, a.Put("eth0", vip1, 0))
	}
	if got := shown(t, h); strings.Count(got, "10.77.0.100/32") != 1 || !strings.Contains(got, "valid_lft forever") {
		t.Errorf("ip addr: %q; want the VIP once, for ever", got)
	}
	// A permanent address can get a lease and become permanent again.
	must(t, a.Put("eth0", vip1, 100*time.Second))
	if got := shown(t, h); strings.Contains(got, "forever") {
		t.Errorf("ip addr: %q; want a lease", got)
	}
	must(t, a.Put("eth0", vip1, 0))
	if got := shown(t, h); !strings.Contains(got, "valid_lft forever") {
		t.Errorf("ip addr: %q; want no lease", got)
	}
}

// A VIP is removed from an interface that was renamed, even if another interface now has its name.
func TestRenamedUnderTheVIP(t *testing.T) {
	h, a := director(t)
	put := func() { must(t, a.Put("eth0", vip1, time.Minute)) }
	put()
	h.Rename(t, "eth0", "wan0")
	must(t, a.Remove("eth0", vip1))
	if got := shown(t, h); got != "" {
		t.Errorf("removed after the renaming, and ip addr: %q", got)
	}
	h.Rename(t, "wan0", "eth0")
	put()
	h.Rename(t, "eth0", "wan0")
	h.IP(t, "link add eth0 type bridge")
	put()
	if got := shown(t, h); strings.Contains(got, "wan0") || !strings.Contains(got, "eth0") {
		t.Errorf("ip addr: %q; want it only on the interface that is now eth0", got)
	}
	must(t, a.Remove("eth0", vip1))
	if got := shown(t, h); got != "" {
		t.Errorf("removed, and ip addr: %q", got)
	}
}

// TestLease: an address is removed when its lease expires, and not before a renewed lease expires.
func TestLease(t *testing.T) {
	for _, p := range []netip.Prefix{vip1, vip6} {
		t.Run(p.Addr().String(), func(t *testing.T) { leaseEnds(t, p) })
	}
}

func leaseEnds(t *testing.T, p netip.Prefix) {
	h, a := director(t)
	is := func() string {
		family := "-4"
		if p.Addr().Is6() {
			family = "-6"
		}
		return strings.TrimSpace(h.IP(t, "-o %s addr show to %s", family, p))
	}
	gone := watchIn(t, h)
	must(t, a.Put("eth0", p, time.Second))
	start := time.Now()
	// A renewal before the end moves the end.
	renewed := start
	for time.Since(start) < 1500*time.Millisecond {
		renewed = time.Now()
		must(t, a.Put("eth0", p, time.Second))
		if is() == "" && time.Since(renewed) < time.Second { // on a busy machine the check may be late
			t.Fatal("the VIP was removed although its lease was renewed")
		}
	}
	gone.await(t, Event{Kind: AddressRemoved, Interface: "eth0", Prefix: p})
	if took := time.Since(renewed); took < 900*time.Millisecond {
		t.Errorf("a lease of 1s ended after %v", took)
	}
	if got := is(); got != "" {
		t.Errorf("ip addr: %q after the lease", got)
	}

	// Documented: a late renewal re-creates the address.
	must(t, a.Put("eth0", p, time.Second))
	if is() == "" {
		t.Error("a late Put did not re-create the address")
	}
}

func TestPutRefuses(t *testing.T) {
	_, a := director(t)
	for _, c := range []struct {
		iface  string
		prefix netip.Prefix
		lease  time.Duration
		want   string
	}{
		{"eth7", vip1, 0, "put address 10.77.0.100/32 on eth7: no such network interface (see: ip link)"},
		{"", vip1, 0, "put address 10.77.0.100/32 on : no such network interface (see: ip link)"},
		{"an-interface-name-too-long", vip1, 0, "no such network interface"},
		{"eth0", netip.MustParsePrefix("10.77.0.100/24"), 0, "put address 10.77.0.100/24 on eth0: a VIP is a single address: /32, or /128 for IPv6"},
		{"eth0", netip.Prefix{}, 0, "a VIP is a single address"},
		{"eth0", netip.MustParsePrefix("::ffff:10.77.0.100/128"), 0, "a VIP is a single address"},
		{"eth0", vip1, 1500 * time.Millisecond, "put address 10.77.0.100/32 on eth0: lease 1.5s: must be whole seconds, or 0 for a permanent address"},
		{"eth0", vip1, -time.Second, "whole seconds"},
		{"eth0", vip1, math.MaxUint32 * time.Second, "whole seconds"},
	} {
		err := a.Put(c.iface, c.prefix, c.lease)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Put(%s, %s, %s): %v; want %q", c.iface, c.prefix, c.lease, err, c.want)
		}
	}
}

func TestRemove(t *testing.T) {
	h, a := director(t)
	must(t, a.Put("eth0", vip1, 0))
	for range 2 {
		must(t, a.Remove("eth0", vip1)) // the second time it is absent
		if got := shown(t, h); got != "" {
			t.Errorf("ip addr: %q after Remove", got)
		}
	}
	must(t, a.Remove("eth7", vip1))
	must(t, a.Remove("eth0", vip6))
	if got := h.IP(t, "-o -4 addr show dev eth0"); !strings.Contains(got, "10.77.0.2/24") {
		t.Errorf("ip addr: %q; want the node's own address untouched", got)
	}
}

func TestRemoveTakesOnlyThisPrefix(t *testing.T) {
	h, a := director(t)
	h.IP(t, "addr add 10.77.0.100/24 dev eth0")
	must(t, a.Put("eth0", vip1, 0))
	must(t, a.Remove("eth0", vip1))
	if got := shown(t, h); !strings.Contains(got, "10.77.0.100/24") || strings.Contains(got, "/32") {
		t.Errorf("ip addr: %q; want only the /24 left", got)
	}
}

func TestIPv6(t *testing.T) {
	h, a := director(t)
	must(t, a.Put("eth0", vip6, 60*time.Second))
	must(t, a.Put("eth0", vip6, 30*time.Second))
	got := h.IP(t, "-o -6 addr show to %s", vip6)
	if !strings.Contains(got, "nodad") || !strings.Contains(got, "deprecated") || strings.Contains(got, "tentative") ||
		strings.Contains(got, "forever") {
		t.Errorf("ip addr: %q; want nodad, deprecated, with a lease, at once", got)
	}
	must(t, a.Put("eth0", vip6, 0))
	if got := h.IP(t, "-o -6 addr show to %s", vip6); !strings.Contains(got, "valid_lft forever preferred_lft 0sec") {
		t.Errorf("ip addr: %q; want it permanent and deprecated", got)
	}
	must(t, a.Remove("eth0", vip6))
}

func TestList(t *testing.T) {
	h, a := director(t)
	h.IP(t, "addr add 10.77.0.3/24 dev eth0 label eth0:second")
	must(t, a.Put("eth0", vip1, 100*time.Second))
	must(t, a.Put("lo", vip1, 0))

	list, err := a.List("")
	must(t, err)
	want := []Address{
		{Interface: "lo", Prefix: netip.MustParsePrefix("127.0.0.1/8"), Label: "lo"},
		{Interface: "lo", Prefix: vip1, Label: "lo", Global: true},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24"), Label: "eth0", Global: true},
		{Interface: "eth0", Prefix: vip1, Valid: 100 * time.Second, Label: "eth0", Global: true},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.3/24"), Label: "eth0:second", Global: true},
	}
	ipv4 := cmpopts.IgnoreSliceElements(func(a Address) bool { return a.Prefix.Addr().Is6() })
	about := cmp.Comparer(func(a, b time.Duration) bool { return (a-b).Abs() <= time.Second && (a == 0) == (b == 0) })
	byPrefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(want, list, ipv4, about, byPrefix); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}

	links, err := a.Links()
	must(t, err)
	on := slices.IndexFunc(links, func(l Link) bool { return l.Name == "eth0" })
	for _, these := range []struct {
		links []Link
		want  []Address
	}{{links, want}, {links[on : on+1], want[2:]}, {nil, nil}} {
		list, err = a.ListOn(these.links)
		must(t, err)
		if diff := cmp.Diff(these.want, list, ipv4, about, byPrefix, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("of %d interfaces (-want +got):\n%s", len(these.links), diff)
		}
	}

	list, err = a.List("lo")
	must(t, err)
	if diff := cmp.Diff(want[:2], list, ipv4, about, byPrefix); diff != "" {
		t.Errorf("lo (-want +got):\n%s", diff)
	}
	if _, err := a.List("eth7"); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("List of a missing interface: %v", err)
	}
}

// List reports whether an IPv6 address can be used: not during duplicate address detection, and never if it is a
// duplicate.
func TestListIPv6(t *testing.T) {
	h, peer := newHost(t), newHost(t)
	netnstest.Wire(t, h, peer)
	a := openIn(t, h)
	first := func(p string) (found Address) {
		t.Helper()
		list, err := a.List("eth0")
		must(t, err)
		for _, one := range list {
			if one.Prefix == netip.MustParsePrefix(p) {
				return one
			}
		}
		t.Fatalf("%s is not among %v", p, list)
		return found
	}
	must(t, a.Put("eth0", vip6, time.Minute))
	if got := first("fd00::100/128"); !got.Usable() || !got.Global || got.Valid == 0 || got.Label != "" {
		t.Errorf("a VIP with a lease: %+v", got)
	}
	peer.IP(t, "addr add fd00::5/64 dev eth0 nodad")
	peer.AwaitUp(t, "eth0")
	h.IP(t, "addr add fd00::5/64 dev eth0")
	var got Address
	for deadline := time.Now().Add(20 * time.Second); !got.Duplicate && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = first("fd00::5/64"); got.Usable() {
			t.Fatalf("%+v could be used before the kernel knew whether the peer has it", got)
		}
	}
	if !got.Duplicate || got.Tentative {
		t.Errorf("an address that the peer has: %+v", got)
	}
	peer.IP(t, "link set eth0 down") // duplicate address detection cannot run
	h.IP(t, "addr add fd00::6/64 dev eth0")
	if got := first("fd00::6/64"); !got.Tentative || got.Duplicate {
		t.Errorf("without a carrier: %+v", got)
	}
	h.IP(t, "addr add fd00::7/64 dev eth0 nodad")
	if got := first("fd00::7/64"); !got.Usable() || !got.Global {
		t.Errorf("without duplicate address detection: %+v", got)
	}
}

func TestLinks(t *testing.T) {
	h, a := director(t)
	find := func(name string) Link {
		t.Helper()
		links, err := a.Links()
		must(t, err)
		for _, l := range links {
			if l.Name == name {
				return l
			}
		}
		t.Fatalf("no %s in %v", name, links)
		return Link{}
	}
	lo, eth0 := find("lo"), find("eth0")
	if !lo.Loopback || !lo.Up || !lo.Carrier || lo.Index != 1 || lo.Kind != "device" {
		t.Errorf("lo = %+v", lo)
	}
	if eth0.Loopback || !eth0.Up || eth0.Kind != "veth" || eth0.MTU != 1500 || len(eth0.HardwareAddr) != 17 {
		t.Errorf("eth0 = %+v", eth0)
	}
	h.IP(t, "link property add dev eth0 altname enp1s0 altname uplink")
	if l := find("eth0"); l.Alternative != "enp1s0 uplink" {
		t.Errorf("alternative names: %q", l.Alternative)
	}
	h.IP(t, "link set eth0 down")
	if l := find("eth0"); l.Up || l.Carrier {
		t.Errorf("after down: %+v", l)
	}
	for range 2 {
		must(t, a.SetUp("eth0"))
	}
	if l := find("eth0"); !l.Up {
		t.Errorf("after SetUp: %+v", l)
	}
	if err := a.SetUp("tunl0x"); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("SetUp of a missing interface: %v", err)
	}
	h.IP(t, "link property add dev eth0 altname other0")
	if err := a.SetUp("other0"); !errors.Is(err, kernel.ErrNoInterface) {
		t.Errorf("SetUp by an alternative name: %v; want ErrNoInterface", err)
	}
}

// Without the capability the error of each change names it; reading still works.
func TestNotPermitted(t *testing.T) {
	h := newHost(t)
	h.Do(t, func() error {
		if err := dropCapabilities(); err != nil {
			return err
		}
		a, err := Open()
		if err != nil {
			return err
		}
		defer a.Close()
		want := "put address 10.77.0.100/32 on lo: not permitted: needs CAP_NET_ADMIN, run as root, or grant this in the service unit"
		if err := a.Put("lo", vip1, 0); !errors.Is(err, kernel.ErrNotPermitted) || err.Error() != want {
			return fmt.Errorf("Put: %v; want %s", err, want)
		}
		if err := a.Remove("lo", vip1); !errors.Is(err, kernel.ErrNotPermitted) {
			return fmt.Errorf("Remove: %v; want ErrNotPermitted", err)
		}
		_, err = a.List("lo")
		return err
	})
}

// dropCapabilities drops all capabilities of the calling thread only, which must end with the test.
func dropCapabilities() error {
	var none [2]unix.CapUserData
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
}
