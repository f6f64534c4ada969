package realserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/dirtest"
	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// inNamespace runs the calling test again in a process with a separate network namespace, so that all goroutines of the
// agent and /proc/sys/net see that namespace. It returns true there and false in the first process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "REALSERVER_TEST_NETNS"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	require.Root(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("in its own namespace:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("skipped there")
	}
	return false
}

func ip(t *testing.T, arguments string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", arguments, err, out)
	}
}

// neighbour is a second network namespace at the other end of eth0, 10.77.0.5, on a separate thread.
type neighbour struct {
	work chan func()
}

func newNeighbour(t *testing.T) *neighbour {
	t.Helper()
	n := &neighbour{work: make(chan func())}
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and with it the namespace, ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		thread <- unix.Gettid()
		for f := range n.work {
			f()
		}
	}()
	ip(t, fmt.Sprintf("link add eth0 type veth peer name far netns %d", <-thread))
	t.Cleanup(func() { close(n.work) })
	for _, arguments := range []string{"link set lo up", "link set far up", "addr add 10.77.0.5/24 dev far", "route add 10.77.0.100 via 10.77.0.11"} {
		n.do(func() { ip(t, arguments) })
	}
	return n
}

// do runs f in the neighbour's namespace.
func (n *neighbour) do(f func()) {
	done := make(chan struct{})
	n.work <- func() { defer close(done); f() }
	<-done
}

// whoHas sends an ARP request for an address and reports whether an answer arrived within patience.
func (n *neighbour) whoHas(t *testing.T, target string, patience time.Duration) (answered bool) {
	t.Helper()
	n.do(func() {
		var err error
		if answered, err = whoHas("far", netip.MustParseAddr("10.77.0.5"), netip.MustParseAddr(target), patience); err != nil {
			t.Error(err)
		}
	})
	return answered
}

// whoHas sends an ARP request (RFC 826) through a raw socket, as arping does, and waits for a reply of that address.
func whoHas(name string, source, target netip.Addr, patience time.Duration) (bool, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return false, err
	}
	const arp = 0x0608 // ETH_P_ARP in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, arp)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	request := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	request = append(append(append(request, link.HardwareAddr...), source.AsSlice()...), 0, 0, 0, 0, 0, 0)
	request = append(request, target.AsSlice()...)
	to := &unix.SockaddrLinklayer{Protocol: arp, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	if err := unix.Sendto(fd, request, 0, to); err != nil {
		return false, err
	}
	for end := time.Now().Add(patience); ; {
		left := time.Until(end)
		if left <= 0 {
			return false, nil
		}
		wait := unix.NsecToTimeval(left.Nanoseconds())
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			return false, err
		}
		reply := make([]byte, 64)
		size, _, err := unix.Recvfrom(fd, reply, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			return false, err
		case size >= 28 && reply[7] == 2 && bytes.Equal(reply[14:18], target.AsSlice()):
			return true, nil
		}
	}
}

// daemon is an agent on the real kernel of this namespace.
type daemon struct {
	*Agent
	stop func() error
}

func startDaemon(t *testing.T, dir string, cfg *config.Config) daemon {
	t.Helper()
	l, err := statefile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := addr.Open()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	a := New(Options{
		Config: cfg, Load: func() (*config.Config, error) { return cfg, nil }, Names: []string{node},
		Started: func() { close(started) }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.Run(ctx, Effects{Addresses: handle, Sysctls: sysctl.Proc(), Watch: addr.Watch, Gateway: route.Gateway, StateFile: l})
	}()
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	return daemon{a, func() error {
		cancel()
		return errors.Join(<-ended, handle.Close(), l.Close())
	}}
}

// within waits for a condition that must hold within limit. It allows twice that and half a second, because a shared
// machine may be stalled meanwhile.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	limit = 2*limit + 500*time.Millisecond
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > limit {
			t.Errorf("%s: not within %s", what, limit)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Logf("%s: after %s", what, time.Since(begin).Round(time.Millisecond))
}

// hasAddress asks ip(8).
func hasAddress(t *testing.T, device, prefix string) bool {
	t.Helper()
	out, err := exec.Command("ip", "-o", "-4", "addr", "show", "dev", device).CombinedOutput()
	if err != nil {
		t.Errorf("ip addr show: %v: %s", err, out)
	}
	return strings.Contains(string(out), " "+prefix+" ")
}

// conf returns the content of a file in /proc/sys/net/ipv4/conf.
func conf(t *testing.T, file string) string {
	t.Helper()
	value, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + file)
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(value))
}

func setConf(t *testing.T, file, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+file, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// patience is how long to wait for an expected answer, also on a busy machine; quiet is how long to wait when none is
// expected.
const (
	patience = 10 * time.Second
	quiet    = 200 * time.Millisecond
)

// newRealServer makes this namespace a real server with one neighbour; lo stays down, as in a new namespace.
func newRealServer(t *testing.T) *neighbour {
	t.Helper()
	n := newNeighbour(t)
	ip(t, "link set eth0 up")
	ip(t, "addr add 10.77.0.11/24 dev eth0")
	within(t, 5*time.Second, "the wire carries", func() bool { return n.whoHas(t, rip, 50*time.Millisecond) })
	return n
}

func TestKernelDR(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	n := newRealServer(t)
	setConf(t, "eth0/arp_announce", "1")

	// Without the agent the VIP is answered, which also shows that whoHas works.
	ip(t, "link set lo up")
	ip(t, "addr add 10.77.0.100/32 dev lo")
	if !n.whoHas(t, vip, patience) {
		t.Error("a VIP on lo without the sysctls is not answered: the test proves nothing")
	}
	ip(t, "addr del 10.77.0.100/32 dev lo")
	ip(t, "link set lo down")

	d := startDaemon(t, dirtest.InMemory(t), cluster(config.DR))
	if !hasAddress(t, "lo", vip+"/32") || n.whoHas(t, vip, quiet) || !n.whoHas(t, rip, patience) {
		t.Error("after the start the VIP must be on lo and not answered, and the own address answered")
	}
	if p := d.Snapshot().Problems; len(p) > 0 {
		t.Errorf("problems %q", p)
	}
	serveVIP(t, n)

	ip(t, "addr del 10.77.0.100/32 dev lo")
	within(t, time.Second, "VIP deleted", func() bool { return hasAddress(t, "lo", vip+"/32") })
	ip(t, "addr flush dev lo")
	within(t, time.Second, "lo flushed", func() bool { return hasAddress(t, "lo", vip+"/32") })
	ip(t, "link set lo down")
	within(t, time.Second, "lo set down", func() bool { return strings.Contains(d.Snapshot().VirtualServers[0].State, "up") && loUp(t) })

	setConf(t, "all/arp_ignore", "0")
	setConf(t, "eth0/arp_ignore", "0")
	within(t, time.Second, "arp_ignore reset", func() bool { return conf(t, "all/arp_ignore") == "1" && conf(t, "eth0/arp_ignore") == "1" })
	ip(t, "link add eth1.7 type veth peer name far1")
	within(t, time.Second, "new interfaces", func() bool {
		return conf(t, "eth1.7/arp_ignore") == "1" && conf(t, "eth1.7/arp_announce") == "2" && conf(t, "far1/arp_ignore") == "1"
	})
	ip(t, "link set eth1.7 name eth2")
	within(t, time.Second, "renamed interface", func() bool { return conf(t, "eth2/arp_ignore") == "1" })
	if n.whoHas(t, vip, quiet) {
		t.Error("the VIP is answered after the repairs")
	}

	ip(t, "addr add 10.77.0.100/24 dev lo")
	within(t, time.Second, "a wide VIP on lo is reported", func() bool {
		return strings.Contains(strings.Join(d.Snapshot().Problems, "\n"), "ip addr del 10.77.0.100/24 dev lo")
	})
	setConf(t, "eth2/arp_announce", "1") // by another process, just before the stop
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if hasAddress(t, "lo", vip+"/32") || !hasAddress(t, "lo", vip+"/24") {
		t.Error("after the stop our VIP must be gone and the foreign one still there")
	}
	for file, want := range map[string]string{
		"all/arp_ignore": "0", "all/arp_announce": "0", "eth0/arp_ignore": "0", "eth0/arp_announce": "1", "far1/arp_ignore": "0", "eth2/arp_ignore": "0", "eth2/arp_announce": "1",
	} {
		if got := conf(t, file); got != want {
			t.Errorf("after the stop %s is %s, want %s", file, got, want)
		}
	}
}

func loUp(t *testing.T) bool {
	t.Helper()
	link, err := net.InterfaceByName("lo")
	return err == nil && link.Flags&net.FlagUp != 0
}

// serveVIP shows that this machine serves a packet for the VIP that arrives as a director would send it.
func serveVIP(t *testing.T, n *neighbour) {
	t.Helper()
	listener, err := net.Listen("tcp4", vip+":3306")
	if err != nil {
		t.Error(err)
		return
	}
	defer listener.Close()
	n.do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		limit := unix.Timeval{Sec: 2}
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 3306, Addr: netip.MustParseAddr(vip).As4()}); err != nil {
			t.Errorf("connect to the VIP through the real server: %v", err)
		}
	})
}

func TestKernelKillAndStart(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newRealServer(t)
	setConf(t, "all/arp_ignore", "2")
	dir := dirtest.InMemory(t)
	d := startDaemon(t, dir, cluster(config.DR))
	state := readAll(t, dir)
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	// The machine and the state file in the state after kill -9.
	writeAll(t, dir, state)
	setConf(t, "all/arp_ignore", "1")
	setConf(t, "eth0/arp_ignore", "1")
	ip(t, "addr add 10.77.0.100/32 dev lo")

	next := cluster(config.DR)
	next.VirtualServers[0].Address = netip.MustParseAddr("10.77.0.200")
	d = startDaemon(t, dir, next)
	if hasAddress(t, "lo", vip+"/32") || !hasAddress(t, "lo", "10.77.0.200/32") {
		t.Error("the VIP of the previous file must be gone, and that of the current one present")
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if all, eth0 := conf(t, "all/arp_ignore"), conf(t, "eth0/arp_ignore"); all != "2" || eth0 != "0" || hasAddress(t, "lo", "10.77.0.200/32") {
		t.Errorf("after the stop all.arp_ignore is %s and eth0's %s, want 2 and 0", all, eth0)
	}
}

func TestKernelNAT(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newRealServer(t)
	ip(t, "route add default via 10.77.0.254")
	d := startDaemon(t, dirtest.InMemory(t), cluster(config.NAT))
	if got := strings.Join(d.Snapshot().Problems, "\n"); !strings.Contains(got, "10.77.0.254, which is not a director's address") {
		t.Errorf("problems %q", got)
	}
	ip(t, "route replace default via 10.77.0.100")
	within(t, lookInterval+2*time.Second, "the way back leads through a VIP", func() bool { return len(d.Snapshot().Problems) == 0 })
	if conf(t, "all/arp_ignore") != "0" || hasAddress(t, "lo", vip+"/32") {
		t.Error("forward: nat must change nothing")
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

func TestKernelTUN(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newRealServer(t)
	// Requesting any tunnel makes the kernel load the module if it can; that creates tunl0.
	_ = exec.Command("ip", "link", "add", "any", "type", "ipip", "local", rip, "remote", "10.77.0.5").Run()
	if _, err := net.InterfaceByName("tunl0"); err != nil {
		d := startDaemon(t, dirtest.InMemory(t), cluster(config.TUN))
		if got := strings.Join(d.Snapshot().Problems, "\n"); !strings.Contains(got, "load the kernel module ipip") {
			t.Errorf("problems %q", got)
		}
		if err := d.stop(); err != nil {
			t.Error(err)
		}
		require.Skip(t, require.IPIP, "no tunl0: the module ipip is not loaded")
	}
	setConf(t, "all/rp_filter", "1")
	d := startDaemon(t, dirtest.InMemory(t), cluster(config.TUN))
	link, err := net.InterfaceByName("tunl0")
	if err != nil || link.Flags&net.FlagUp == 0 || !hasAddress(t, "tunl0", vip+"/32") || conf(t, "tunl0/rp_filter") != "2" || conf(t, "eth0/arp_ignore") != "1" {
		t.Errorf("tunl0 %+v (%v), rp_filter %s, eth0.arp_ignore %s", link, err, conf(t, "tunl0/rp_filter"), conf(t, "eth0/arp_ignore"))
	}
	ip(t, "link set tunl0 down")
	ip(t, "addr flush dev tunl0")
	within(t, time.Second, "tunl0 down and flushed", func() bool {
		link, err := net.InterfaceByName("tunl0")
		return err == nil && link.Flags&net.FlagUp != 0 && hasAddress(t, "tunl0", vip+"/32")
	})
	setConf(t, "tunl0/rp_filter", "1")
	within(t, time.Second, "rp_filter reset", func() bool { return conf(t, "tunl0/rp_filter") == "2" })
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if hasAddress(t, "tunl0", vip+"/32") || conf(t, "tunl0/rp_filter") == "2" || conf(t, "eth0/arp_ignore") != "0" {
		t.Error("after the stop the VIP must be gone and the sysctls as before")
	}
}
