package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// pair creates two hosts on one switch.
func pair(t *testing.T) (n *lab.Network, a, b *lab.Host) {
	t.Helper()
	n = lab.New(t)
	lan := n.Bridge("lan")
	return n, n.Host("alpha", lan.At("10.77.0.1/24")), n.Host("beta", lan.At("10.77.0.2/24"))
}

// reach connects from a to b, which also takes an ARP exchange, and returns an error if b does not answer.
func reach(a, b *lab.Host) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	conn, err := a.Dial(ctx, "tcp4", netip.AddrPortFrom(b.Address(), 80).String())
	if err != nil {
		return err
	}
	return conn.Close()
}

func unreachable(a, b *lab.Host) func() error {
	return func() error {
		if reach(a, b) == nil {
			return fmt.Errorf("%s still reaches %s", a.Name, b.Name)
		}
		return nil
	}
}

func reachable(a, b *lab.Host) func() error { return func() error { return reach(a, b) } }

func TestHostIsIsolated(t *testing.T) {
	n, alpha, beta := pair(t)
	if got := strings.TrimSpace(alpha.Run("hostname")); got != "alpha" {
		t.Errorf("hostname %q", got)
	}
	if got := fmt.Sprint(beta.Addresses("eth0")); !strings.Contains(got, "10.77.0.2/24") {
		t.Errorf("addresses of eth0: %s", got)
	}
	if !alpha.HasAddress("10.77.0.1") || alpha.HasAddress("10.77.0.2") {
		t.Errorf("HasAddress: %v", alpha.Addresses(""))
	}
	alpha.Sysctl("net.ipv4.conf.eth0.arp_ignore", "1")
	if got, other := alpha.SysctlValue("net.ipv4.conf.eth0.arp_ignore"), beta.SysctlValue("net.ipv4.conf.eth0.arp_ignore"); got != "1" || other != "0" {
		t.Errorf("arp_ignore: %s and %s", got, other)
	}
	if _, err := alpha.Try("sh", "-c", "exit 3"); lab.ExitCode(err) != 3 {
		t.Errorf("exit code of %v", err)
	}
	alpha.Run("ip", "addr", "add", "10.77.0.100/32", "dev", "eth0")
	beta.Run("ip", "addr", "add", "10.77.0.100/32", "dev", "lo")
	if got := fmt.Sprint(lab.Holders("10.77.0.100", alpha, beta)); got != "[alpha]" {
		t.Errorf("holders %s", got)
	}
	if n.Dir() == "" {
		t.Error("no directory")
	}
}

func TestFaultsOfALink(t *testing.T) {
	faults := []struct {
		name    string
		make    func(*lab.Link)
		end     func(*lab.Link)
		carrier string
	}{
		{"carrier down", (*lab.Link).CarrierDown, (*lab.Link).CarrierUp, "0"},
		{"unplugged behind a far switch", (*lab.Link).Unplug, (*lab.Link).Plug, "1"},
		{"all dropped to the host", func(l *lab.Link) { l.Drop(lab.ToHost, "") }, (*lab.Link).StopDropping, "1"},
		{"ip dropped from the host", func(l *lab.Link) { l.Drop(lab.FromHost, "arp"); l.Drop(lab.FromHost, "ip") }, (*lab.Link).StopDropping, "1"},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			_, alpha, beta := pair(t)
			standin.Start(beta, ":80", "beta")
			lab.Eventually(t, time.Minute, reachable(alpha, beta))
			fault.make(beta.Link("eth0"))
			lab.Eventually(t, time.Minute, unreachable(alpha, beta))
			if got := strings.TrimSpace(beta.ReadFile("/sys/class/net/eth0/carrier")); got != fault.carrier {
				t.Errorf("carrier %s, want %s", got, fault.carrier)
			}
			fault.end(beta.Link("eth0"))
			lab.Eventually(t, time.Minute, reachable(alpha, beta))
		})
	}
}

func TestDropOnlyMatching(t *testing.T) {
	_, alpha, beta := pair(t)
	standin.Start(beta, ":80", "beta")
	beta.Link("eth0").Drop(lab.FromHost, lab.VRRP)
	lab.Eventually(t, time.Minute, reachable(alpha, beta))

	seen := capture.Start(alpha, "eth0", lab.VRRP)
	advert := []byte{0x31, 51, 150, 1, 0, 100, 0, 0, 10, 77, 0, 100}
	group := netip.MustParseAddr("224.0.0.18")
	capture.Send(beta, "eth0", beta.Address(), group, 255, 112, advert)
	if got := seen.Packets(); len(got) != 0 {
		t.Errorf("an advert that should be dropped was received: %v", got)
	}
	beta.Link("eth0").StopDropping()
	capture.Send(beta, "eth0", beta.Address(), group, 255, 112, advert)
	seen.Wait("vrid 51, prio 150", time.Minute)
}

func TestNetemDelays(t *testing.T) {
	lab.Need(t, lab.Netem)
	_, alpha, beta := pair(t)
	standin.Start(beta, ":80", "beta")
	lab.Eventually(t, time.Minute, reachable(alpha, beta))
	beta.Link("eth0").Netem("delay 60ms")
	start := time.Now()
	if err := reach(alpha, beta); err != nil || time.Since(start) < 110*time.Millisecond {
		t.Errorf("round trip %s, %v; want 120 ms", time.Since(start), err)
	}
	beta.Link("eth0").NetemOff()
	start = time.Now()
	if err := reach(alpha, beta); err != nil || time.Since(start) > 110*time.Millisecond {
		t.Errorf("round trip %s, %v after the end of the delay", time.Since(start), err)
	}
}

func TestDaemonLifeAndLog(t *testing.T) {
	_, alpha, _ := pair(t)
	d := alpha.Start("talker", "sh", "-c", `trap 'echo bye; exit 7' TERM; echo hello; while read line </proc/self/fd/0; do :; done; while :; do sleep 0.05; done`)
	d.WaitLog("^hello$", time.Minute)
	mark := d.Mark()
	if code := d.Stop(); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	mark.WaitLog("^bye$", time.Minute)
	if got := mark.Log(); got != "bye\n" {
		t.Errorf("log after the mark: %q", got)
	}
	victim := alpha.Start("sleeper", "sleep", "60")
	victim.Pause()
	victim.Kill()
	if victim.Running() {
		t.Error("still running after Kill")
	}
	if code := victim.Wait(time.Second); code != 128+9 {
		t.Errorf("exit code %d, want 137", code)
	}
}
