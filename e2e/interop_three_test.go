package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// manyVIPs are 30 VIPs.
func manyVIPs() []string {
	all := make([]string, 30)
	for n := range all {
		all[n] = fmt.Sprintf("10.77.0.%d", 100+n)
	}
	return all
}

// vipsConf is the keepalived.conf of a director with these VIPs and with more keywords of the instance.
func vipsConf(priority int, advert time.Duration, more string, vips ...string) string {
	return fmt.Sprintf(`vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int %g
  version 3
  %s
  virtual_ipaddress {
    %s/32
  }
}
`, priority, advert.Seconds(), more, strings.Join(vips, "/32\n    "))
}

// holdsAll returns an error unless the kernel of only this host has all VIPs.
func holdsAll(vips []string, holder *lab.Host, others ...*lab.Host) error {
	for _, vip := range vips {
		if len(lab.Holders(vip, holder)) != 1 {
			return fmt.Errorf("%s does not hold %s", holder.Name, vip)
		}
		if also := lab.Holders(vip, others...); len(also) > 0 {
			return fmt.Errorf("%s holds %s, too", also, vip)
		}
	}
	return nil
}

// TestInteropThree: one lvs-director between two keepalived 2.2.7, with 30 VIPs and without preemption. Whichever holds the
// VIPs, the next one takes all of them when it stops, and keeps them when it returns.
//
// Proves docs/operations.md: "The tests run a director with keepalived 2.2.7: three routers with 30 addresses and
// `nopreempt`,"
func TestInteropThree(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Release(t)
	const advert = 100 * time.Millisecond
	shape := shape{advert: advert.String(), noPreempt: true}
	c := newCluster(t, shape)
	vips := manyVIPs()
	file := strings.Replace(shape.file(), "["+vip+"/32]", "["+strings.Join(vips, ", ")+"]", 1)
	if err := os.WriteFile(c.file, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c.answering()
	third := c.net.Host("lvs-third", c.lan.At("10.77.0.4/24"))
	hosts := []*lab.Host{c.master.Host, c.backup.Host, third}
	daemons := map[*lab.Host]*lab.Daemon{}
	start := func(h *lab.Host) {
		switch h {
		case c.master.Host: // priority 150
			daemons[h] = c.master.start()
			daemons[h].WaitLog("to=BACKUP", soon)
		case c.backup.Host:
			daemons[h] = lab.StartKeepalived(h, vipsConf(100, advert, "nopreempt", vips...))
			daemons[h].WaitLog(`Entering BACKUP STATE`, soon)
		default:
			daemons[h] = lab.StartKeepalived(h, vipsConf(120, advert, "nopreempt", vips...))
			daemons[h].WaitLog(`Entering BACKUP STATE`, soon)
		}
	}
	others := func(of *lab.Host) (all []*lab.Host) {
		for _, h := range hosts {
			if h != of {
				all = append(all, h)
			}
		}
		return all
	}
	held := func(by *lab.Host) {
		t.Helper()
		lab.Eventually(t, soon, func() error { return holdsAll(vips, by, others(by)...) })
		lab.Consistently(t, 5*advert, func() error { return holdsAll(vips, by, others(by)...) })
	}
	start(c.master.Host)
	held(c.master.Host)
	start(c.backup.Host)
	start(third)
	held(c.master.Host)
	holder := c.master.Host
	// The one with the highest priority of the other two takes over: 120, 150, 120, …, and 100 in between.
	for cycle := range max(5, interopCycles()) {
		down := []*lab.Host{holder}
		next := third
		if holder == third {
			next = c.master.Host
		}
		if cycle%5 == 4 { // only the lowest one is left
			down, next = append(down, next), c.backup.Host
		}
		for _, h := range down {
			daemons[h].Stop()
		}
		held(next)
		for _, h := range down {
			start(h)
		}
		held(next)
		holder = next
		if holder == c.backup.Host {
			daemons[holder].Stop()
			held(c.master.Host) // 150
			start(holder)
			holder = c.master.Host
			held(holder)
		}
	}
}

// TestInteropFast: adverts every 10 ms, of which 20 may be missing, between one lvs-director and one keepalived 2.2.7, each
// of which is MASTER ten times.
//
// Proves docs/operations.md: "adverts every 10 ms with `down_timer_adverts`,"
func TestInteropFast(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Release(t)
	const advert, down = 10 * time.Millisecond, 20
	c := newCluster(t, shape{advert: advert.String(), instance: fmt.Sprintf("down_timer_adverts: %d", down)})
	c.answering()
	peer := func(priority int) {
		c.master.daemon = lab.StartKeepalived(c.master.Host, vipsConf(priority, advert, fmt.Sprintf("down_timer_adverts %d", down), vip))
		c.master.daemon.WaitLog("Entering BACKUP STATE", soon)
	}
	steady := func(n *node) {
		t.Helper()
		c.awaitHolder(n, soon)
		lab.Consistently(t, 2*down*advert, func() error { return c.heldOnlyBy(n) })
	}
	killed := func(holder, next *node) {
		t.Helper()
		begun := time.Now()
		holder.daemon.Kill()
		holder.Run("ip", "addr", "flush", "to", vipPrefix)
		c.awaitHolder(next, soon)
		if took := time.Since(begun); took < down*advert/2 {
			t.Errorf("%s took over %s after the last advert, %d of which may be missing", next.Name, took, down)
		}
	}
	c.backup.start()
	steady(c.backup)
	for range 10 {
		peer(150)
		steady(c.master)
		killed(c.master, c.backup)
		steady(c.backup)
		peer(50)
		steady(c.backup)
		killed(c.backup, c.master)
		c.backup.start()
		steady(c.backup)
		c.master.daemon.Stop()
	}
}
