// Package netnstest provides network namespaces as hosts for the tests of the kernel packages. It is not part of the
// product.
package netnstest

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/lvs-director/lvs-director/internal/require"
)

// Host is a network namespace with loopback up. Sockets opened in it stay in it.
type Host struct {
	// NS stays open until the test ends.
	NS netns.NsHandle
}

// New makes a host. It skips the test if that is neither possible nor required (package require).
func New(t *testing.T) Host {
	t.Helper()
	require.Root(t)
	var h Host
	err := onThread(func() (err error) {
		h.NS, err = netns.New()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.NS.Close() })
	h.IP(t, "link set lo up")
	return h
}

// Enter runs f with its thread in the host.
func (h Host) Enter(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(h.NS); err != nil {
			return err
		}
		return f()
	})
}

// Do is Enter, but an error ends the test.
func (h Host) Do(t *testing.T, f func() error) {
	t.Helper()
	if err := h.Enter(f); err != nil {
		t.Fatal(err)
	}
}

// IP runs a command of iproute2 in the host and returns what it prints. After "addr add" it waits until the kernel
// uses the address.
func (h Host) IP(t *testing.T, format string, args ...any) string {
	t.Helper()
	var out []byte
	line := fmt.Sprintf(format, args...)
	h.Do(t, func() (err error) {
		if out, err = exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
		return nil
	})
	h.awaitUsable(t, strings.Fields(line))
	return string(out)
}

// awaitUsable waits, after the command "addr add ADDRESS … dev INTERFACE" for an IPv6 address, until the kernel delivers
// packets to it. It joins its solicited-node multicast group, and then adds its local route, later than it adds the address
// (net/ipv6/addrconf.c, addrconf_dad_work), also with nodad. Until then a question for the address is lost, and it is
// repeated only after a second.
func (h Host) awaitUsable(t *testing.T, command []string) {
	t.Helper()
	dev := slices.Index(command, "dev") + 1
	if dev < 3 || dev == len(command) || !slices.Equal(command[:2], []string{"addr", "add"}) {
		return
	}
	text, _, _ := strings.Cut(command[2], "/")
	if address, err := netip.ParseAddr(text); err != nil || !address.Is6() || !slices.Contains(command, "nodad") {
		return
	}
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(h.IP(t, "-6 route show table local %s dev %s", text, command[dev]), "local"); {
		if !strings.Contains(h.IP(t, "link show %s", command[dev]), "LOWER_UP") {
			return // it becomes usable when the interface comes up
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become usable on %s", text, command[dev])
		}
	}
}

// Wire connects two hosts: eth0 of each is one end of a veth pair, and is up.
func Wire(t *testing.T, a, b Host) {
	t.Helper()
	a.IP(t, "link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d", os.Getpid(), int(b.NS))
	a.IP(t, "link set eth0 up")
	b.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth0")
}

// AwaitUp waits until an interface can send. The kernel drops packets that are sent between the carrier and this
// (net/core/link_watch.c).
func (h Host) AwaitUp(t *testing.T, iface string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(h.IP(t, "link show %s", iface), "state UP"); {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come up", iface)
		}
	}
}

// Rename renames an interface, which older kernels allow only while it is down.
func (h Host) Rename(t *testing.T, from, to string) {
	t.Helper()
	h.IP(t, "link set %s down", from)
	h.IP(t, "link set %s name %s", from, to)
	h.IP(t, "link set %s up", to)
	h.AwaitUp(t, to)
}

// onThread runs f on a thread that ends with it, because the thread may have changed its namespace.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
