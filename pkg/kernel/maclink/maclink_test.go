package maclink

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var macvlan = kernel.VirtualLink{Name: "vrrp.51", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:01:33"}

// director makes a host with eth0 and a handle in it. It skips the test if the kernel has no macvlan.
func director(t *testing.T) (netnstest.Host, *Handle) {
	t.Helper()
	host, peer := netnstest.New(t), netnstest.New(t)
	netnstest.Wire(t, host, peer)
	var h *Handle
	host.Do(t, func() (err error) { h, err = Open(); return err })
	t.Cleanup(func() { _ = h.Close() })
	if err := h.Add(macvlan); errors.Is(err, ErrNoKind) {
		require.Skip(t, require.Macvlan, "%v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	host.IP(t, "link del vrrp.51")
	return host, h
}

func index(t *testing.T, host netnstest.Host, name string) (index int) {
	t.Helper()
	host.Do(t, func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			index = ifi.Index
		}
		return err
	})
	return index
}

// TestAddAndRemove: the interface is what ip(8) would add, is down, and is removed only as itself.
func TestAddAndRemove(t *testing.T) {
	host, h := director(t)
	if err := h.Add(macvlan); err != nil {
		t.Fatal(err)
	}
	got := host.IP(t, "-d link show vrrp.51")
	for _, want := range []string{"vrrp.51@eth0", "00:00:5e:00:01:33", "macvlan mode bridge", "state DOWN"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if err := h.Add(macvlan); !errors.Is(err, ErrExists) {
		t.Errorf("twice: %v, want ErrExists", err)
	}
	at := index(t, host, "vrrp.51")
	for _, other := range []kernel.VirtualLink{{Name: "vrrp.52", Kind: kernel.Macvlan}, {Name: "vrrp.51", Kind: kernel.IPvlan}} {
		if removed, err := h.Remove(other, at); removed || err != nil {
			t.Errorf("removal as %+v: %t, %v", other, removed, err)
		}
	}
	for _, want := range []bool{true, false} {
		if removed, err := h.Remove(macvlan, at); removed != want || err != nil {
			t.Errorf("removal: %t, %v, want %t", removed, err, want)
		}
	}
}

// TestAddRefuses: what the kernel cannot do is an error with a remedy, and leaves nothing behind.
func TestAddRefuses(t *testing.T) {
	host, h := director(t)
	host.IP(t, "link add link eth0 name m0 type macvlan mode bridge")
	for parent, want := range map[string]error{"eth9": kernel.ErrNoInterface, "lo": ErrParent, "m0": ErrParent} {
		v := macvlan
		v.Parent = parent
		if err := h.Add(v); !errors.Is(err, want) {
			t.Errorf("on %s: %v, want %v", parent, err, want)
		}
	}
	if got := host.IP(t, "link show"); strings.Contains(got, "vrrp.51") {
		t.Errorf("left behind:\n%s", got)
	}
	host.IP(t, "link del m0")
	host.IP(t, "link add link eth0 name p0 type macvlan mode passthru")
	if err := h.Add(macvlan); !errors.Is(err, ErrParent) {
		t.Errorf("beside one of mode passthru: %v", err)
	}
}

// TestVRF: the interface is in the VRF of the one below it, as its routes are there.
func TestVRF(t *testing.T) {
	host, h := director(t)
	if err := host.Enter(func() error {
		return netlink.LinkAdd(&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "blue"}, Table: 10})
	}); err != nil {
		t.Skipf("no VRF: %v", err)
	}
	host.IP(t, "link set eth0 master blue")
	if err := h.Add(macvlan); err != nil {
		t.Fatal(err)
	}
	if got := host.IP(t, "link show vrrp.51"); !strings.Contains(got, "master blue") {
		t.Errorf("%s", got)
	}
}

func TestIPvlan(t *testing.T) {
	host, h := director(t)
	v := kernel.VirtualLink{Name: "vrrp.51", Kind: kernel.IPvlan, Parent: "eth0"}
	if err := h.Add(v); errors.Is(err, ErrNoKind) {
		require.Skip(t, require.IPvlan, "%v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if got := host.IP(t, "-d link show vrrp.51"); !strings.Contains(got, "ipvlan") || !strings.Contains(got, "mode l2") {
		t.Errorf("%s", got)
	}
	if err := h.Add(kernel.VirtualLink{Name: "vrrp.52", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:01:34"}); !errors.Is(err, ErrParent) {
		t.Errorf("a macvlan beside it: %v", err)
	}
}
