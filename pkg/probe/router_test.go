package probe

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRouter: a router on the way says so, of either family; an address of the next hop itself is not behind it, and a host
// that does not forward, or that is not there, is no router.
func TestRouter(t *testing.T) {
	ownNetwork(t, "link add eth0 type veth peer name far", "link set eth0 up", "addr add 10.77.0.2/24 dev eth0", "addr add fd00:77::2/64 dev eth0 nodad",
		"route add 10.78.0.0/15 via 10.77.0.254", "route add 10.80.0.0/16 via 10.77.0.253", "-6 route add fd00:78::/31 via fd00:77::fe")
	next := exec.Command("sleep", "600")
	next.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = next.Process.Kill()
		_ = next.Wait()
	})
	run := func(line string) {
		t.Helper()
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	there := func(line string) {
		t.Helper()
		run(fmt.Sprintf("nsenter -t %d -n %s", next.Process.Pid, line))
	}
	run(fmt.Sprintf("ip link set far netns %d", next.Process.Pid))
	for _, line := range []string{
		"ip link set lo up", "ip link set far up", "ip addr add 10.77.0.254/24 dev far", "ip addr add fd00:77::fe/64 dev far nodad",
		"ip addr add 10.78.0.11/32 dev lo", "ip addr add fd00:78::11/128 dev lo nodad",
		"ip link add name behind type veth peer name end", "ip link set behind up", "ip link set end up", "ip addr add 10.79.0.1/24 dev behind", "ip addr add fd00:79::1/64 dev behind nodad",
	} {
		there(line)
	}
	forwards := func(value string) {
		there("sysctl -q -w net.ipv4.ip_forward=" + value)
		there("sysctl -q -w net.ipv6.conf.all.forwarding=" + value)
	}
	expect := func(to, want string, limit time.Duration) {
		t.Helper()
		if got := Router(within(t, limit), netip.MustParseAddr(to)); got.String() != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	const none = "invalid IP"
	forwards("1")
	// The first packets may be lost while the interfaces come up.
	for deadline := time.Now().Add(time.Minute); !Router(within(t, 300*time.Millisecond), netip.MustParseAddr("fd00:79::12")).IsValid() && time.Now().Before(deadline); {
	}
	expect("10.79.0.12", "10.77.0.254", time.Minute)
	expect("fd00:79::12", "fd00:77::fe", time.Minute)
	expect("::ffff:10.79.0.12", "10.77.0.254", time.Minute)
	expect("10.78.0.11", none, time.Minute) // "port unreachable" ends the wait
	expect("fd00:78::11", none, time.Minute)
	expect("10.77.0.254", none, time.Minute)
	expect("10.77.0.2", none, time.Minute)
	expect("10.80.0.1", none, 50*time.Millisecond) // nobody has the address of the next hop
	expect("192.0.2.1", none, time.Minute)         // no route
	forwards("0")
	expect("10.79.0.12", none, 50*time.Millisecond)
}
