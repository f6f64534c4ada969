package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestLeaseEnds: the VIP of a director that is frozen or killed is removed by the kernel when its lease ends, whatever
// the length of the lease. No peer and no systemd is there to remove it.
//
// Proves docs/index.md: "VIPs with a kernel lease: a director that dies or hangs loses its VIP, with no daemon left to
// remove it."
func TestLeaseEnds(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	lab.AnyKernel(t)
	leases := []time.Duration{3 * time.Second}
	if !testing.Short() {
		leases = append(leases, 5*time.Second, 10*time.Second, time.Minute)
	}
	for _, lease := range leases {
		for _, end := range []struct {
			name string
			end  func(d *lab.Daemon)
		}{
			{"frozen", func(d *lab.Daemon) { d.Pause() }},
			{"killed", func(d *lab.Daemon) { d.Kill() }},
		} {
			t.Run(fmt.Sprintf("%s/%s", lease, end.name), func(t *testing.T) {
				c := newCluster(t, shape{advert: "100ms", instance: fmt.Sprintf("lease: %s", lease)})
				c.master.start()
				c.awaitHolder(c.master, soon)
				// Until the renewals are under way.
				lab.Consistently(t, lease/2, func() error { return c.heldOnlyBy(c.master) })
				watch := c.master.watchVIP()
				begun := time.Now()
				end.end(c.master.daemon)
				took := watch.awaitEnd(lease + soon).Sub(begun)
				t.Logf("removed after %s, limit %s", took, lease+leaseEndAllowance)
				if took > lease+leaseEndAllowance {
					t.Errorf("removed after %s, want at most %s", took, lease+leaseEndAllowance)
				}
				if c.master.daemon.Running() {
					mark := c.master.daemon.Mark()
					c.master.daemon.Resume()
					c.awaitHolder(c.master, soon) // there is no other director
					lab.Consistently(t, lease+leaseEndAllowance, func() error { return c.heldOnlyBy(c.master) })
					if log := mark.Log(); strings.Contains(log, "another process") {
						t.Errorf("the end of a lease was logged as a change by another process:\n%s", log)
					}
				}
			})
		}
	}
}

// TestManyLeases: many VIPs of one instance and of many instances stay up over many renewals, without more writes than
// the renewals need.
//
// Proves docs/cluster-file.md: "A director renews each of its virtual addresses three times per **lease**."
func TestManyLeases(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	lab.AnyKernel(t)
	c := newCluster(t, shape{})
	together, instances, lease := 20, 5, 3*time.Second
	if !testing.Short() {
		together, instances = 60, 20
	}
	file := &strings.Builder{}
	file.WriteString("version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\nvrrp_instances:\n")
	list := func(vrid int, vips ...string) {
		fmt.Fprintf(file, "  - {name: i%d, interface: eth0, virtual_router_id: %d, priority: 150, advert_interval: 500ms, lease: %s, virtual_addresses: [%s]}\n",
			vrid, vrid, lease, strings.Join(vips, ", "))
	}
	var all []string
	for i := range together {
		all = append(all, fmt.Sprintf("10.78.0.%d", i+1))
	}
	list(1, all...)
	for i := range instances {
		vip := fmt.Sprintf("10.79.0.%d", i+1)
		all = append(all, vip)
		list(i+2, vip)
	}
	c.net.File("cluster.yaml", file.String())
	c.master.start()
	up := func() error {
		have := c.master.Addresses("eth0")
		for _, vip := range all {
			if !slices.Contains(have, netip.MustParsePrefix(vip+"/32")) {
				return fmt.Errorf("%s is not up; the addresses are %v", vip, have)
			}
		}
		return nil
	}
	lab.Eventually(t, soon, up)
	watch := c.master.Host.Start("ip-monitor", "ip", "-oneline", "monitor", "address", "dev", "eth0")
	before := c.master.daemon.Usage()
	lab.Consistently(t, 3*lease, up)
	after := c.master.daemon.Usage()
	writes, length := strings.Count(watch.Log(), " inet 10.7"), after.At.Sub(before.At)
	expected := 3 * len(all) * int(length/time.Millisecond) / int(lease/time.Millisecond)
	t.Logf("%d VIPs: %d renewals in %s, %s of CPU", len(all), writes, length, after.CPU-before.CPU)
	if writes < expected/2 || writes > expected*3/2 {
		t.Errorf("%d writes for %d VIPs in %s, want about %d", writes, len(all), length, expected)
	}
	if strings.Contains(watch.Log(), "Deleted") {
		t.Errorf("a VIP was deleted:\n%s", watch.Log())
	}
	begun := time.Now()
	c.master.daemon.Signal(syscall.SIGTERM)
	if code := c.master.daemon.Wait(soon); code != 0 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("stopped within %s", time.Since(begun))
	if have := c.master.Run("ip", "-o", "-4", "addr", "show", "dev", "eth0"); strings.Contains(have, "/32 ") {
		t.Errorf("after the stop:\n%s", have)
	}
}

// TestKilledMaster: after a kill -9 of the MASTER's daemon no process on that machine removes the VIP; the end of its
// lease does. Meanwhile the client is answered by the other director, which repeats its gratuitous ARP.
//
// Proves docs/comparison.md: "VIP on a director that was killed (`kill -9`) | removed when its lease ends (5 s by default)"
// Proves docs/cluster-file.md: "When a director dies, the kernel removes its virtual addresses at the end of the
// lease."
func TestKilledMaster(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	r := timing{3, relaxedAdvert}
	const lease = 3 * time.Second // the shortest allowed
	c := servingCluster(t, lvsDirector, r)
	old, other := c.master.watchVIP(), c.backup.watchVIP()
	m := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("", soon)
	segment := c.segment()
	segment.Wait("10.77.0.2 > 224", soon)
	killed := time.Now()
	c.master.daemon.Kill()
	if code := c.master.daemon.Wait(soon); code != 128+9 {
		t.Fatalf("the daemon exited with %d", code)
	}
	segment.Wait(c.backup.mac()+" > ff:ff:ff:ff:ff:ff.* "+vip, soon)
	taken := other.awaitPeriods(1)[0].from
	if took, most := takeoverTime(t, segment.Stop(), c.master, c.backup, killed), r.masterDown()+takeoverAllowance; took > most {
		t.Errorf("lvs-backup announced the VIP %s after the last advert of lvs-master, want at most %s", took, most)
	}
	gone := old.awaitEnd(soon)
	t.Logf("lvs-backup holds the VIP %s after the kill, lvs-master no longer after %s", taken.Sub(killed), gone.Sub(killed))
	if kept := gone.Sub(killed); kept > lease+leaseEndAllowance {
		t.Errorf("the VIP stayed %s on the machine of the killed daemon, want at most %s", kept, lease+leaseEndAllowance)
	}
	m.WaitAnswered("", soon)
	result := m.Stop()
	c.awaitARPEntry(c.backup)
	c.awaitHolder(c.backup, soon)
	if later := result.Since(taken.Add(time.Second)); later.Failed() > 0 {
		t.Errorf("after the takeover, while both machines had the VIP: %s", later)
	}
	t.Log(result.Since(killed))
}
