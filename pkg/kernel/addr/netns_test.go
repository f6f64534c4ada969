package addr

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// host is a network namespace with loopback up. What is opened in it stays in it.
type host struct {
	ns netns.NsHandle
}

// newHost makes a host, or skips the test where that is not possible and not
// required either (LVS_REQUIRE=netns).
func newHost(t *testing.T) host {
	t.Helper()
	if os.Getuid() != 0 {
		if slices.Contains(strings.Split(os.Getenv("LVS_REQUIRE"), ","), "netns") {
			t.Fatal("LVS_REQUIRE=netns, and the tests do not run as root")
		}
		t.Skip("needs root for network namespaces")
	}
	var h host
	err := onThread(func() (err error) {
		h.ns, err = netns.New()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.ns.Close() })
	h.ip(t, "link set lo up")
	return h
}

// enter runs f with its thread in the host.
func (h host) enter(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return err
		}
		return f()
	})
}

// do is enter where an error ends the test.
func (h host) do(t *testing.T, f func() error) {
	t.Helper()
	if err := h.enter(f); err != nil {
		t.Fatal(err)
	}
}

// ip runs a command of iproute2 in the host and returns what it prints.
func (h host) ip(t *testing.T, format string, args ...any) string {
	t.Helper()
	var out []byte
	line := fmt.Sprintf(format, args...)
	h.do(t, func() (err error) {
		if out, err = exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
		return nil
	})
	return string(out)
}

// wire joins two hosts: eth0 of each is one end of a cable, up.
func wire(t *testing.T, a, b host) {
	t.Helper()
	a.ip(t, "link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d", os.Getpid(), int(b.ns))
	a.ip(t, "link set eth0 up")
	b.ip(t, "link set eth0 up")
	a.awaitUp(t, "eth0")
	b.awaitUp(t, "eth0")
}

// awaitUp waits until an interface can send. The kernel drops what is sent
// between its carrier and this (net/core/link_watch.c).
func (h host) awaitUp(t *testing.T, iface string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(h.ip(t, "link show %s", iface), "state UP"); {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come up", iface)
		}
	}
}

// rename renames an interface, which older kernels allow only while it is down.
func (h host) rename(t *testing.T, from, to string) {
	t.Helper()
	h.ip(t, "link set %s down", from)
	h.ip(t, "link set %s name %s", from, to)
	h.ip(t, "link set %s up", to)
	h.awaitUp(t, to)
}

// onThread runs f on a thread that ends with it, because the thread may have
// changed its namespace.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
