package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestDuplicateVIP: a machine that adds the VIP of IPv6 with duplicate address detection while a director holds it gets it as a
// duplicate, and the clients and the status notice nothing. One that had it before the directors started is reported by the
// MASTER until it is gone.
//
// Proves docs/operations.md: "are added without duplicate address detection, which would take a second and fail while the old
// MASTER still"
func TestDuplicateVIP(t *testing.T) {
	lab.Need(t)
	lab.Release(t)
	c := newPair6(t, 200*time.Millisecond, "announcements: {conflict_check: 2s}")
	c.backup.start()
	c.master.start()
	awaitHolder6(c, c.master)
	healthy(t, c.master, c.backup)
	m := measure.Start(c.client, "["+vip6+"]:3306", measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("lvs-master", soon)
	twin, twinMAC := c.net.Host("twin", c.lan.At("10.77.0.66/24")), "02:4c:0a:4d:00:42"
	begun := time.Now()
	twin.Run("ip", "addr", "add", vip6Prefix, "dev", "eth0")
	lab.Eventually(t, soon, func() error {
		if out := twin.Run("ip", "-6", "addr", "show", "dev", "eth0", "dadfailed"); !strings.Contains(out, vip6) {
			return fmt.Errorf("the twin has not noticed that the VIP is in use: %s", twin.Run("ip", "-6", "addr", "show", "dev", "eth0"))
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	if gap := m.Stop().Since(begun).LongestGap(); gap.Duration > 500*time.Millisecond {
		t.Errorf("the client was without an answer for %s", gap)
	}
	healthy(t, c.master, c.backup)

	c.master.daemon.Stop()
	c.backup.daemon.Stop()
	twin.Run("ip", "addr", "del", vip6Prefix, "dev", "eth0")
	twin.Run("ip", "addr", "add", vip6Prefix, "dev", "eth0", "nodad")
	c.master.start()
	c.backup.start()
	awaitHolder6(c, c.master)
	lab.Consistently(t, 3*time.Second, func() error { // with detection it would be a duplicate now
		out := c.master.Run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "to", vip6)
		if !strings.Contains(out, " nodad ") || strings.Contains(out, "dadfailed") || strings.Contains(out, "tentative") {
			return fmt.Errorf("lvs-master has %s", out)
		}
		return nil
	})
	c.master.pings6(c.client) // so that its neighbour table has an entry, of whichever of the two has answered
	c.master.awaitCheck(2, vip6+" is claimed by another machine as well, with the hardware address "+twinMAC)
	twin.Run("ip", "addr", "del", vip6Prefix, "dev", "eth0")
	c.master.awaitCheck(0, "")
	awaitNeighbour6(c, c.master)
	healthy(t, c.master, c.backup)
}

// TestSnooping: behind a switch that snoops IGMP without a querier the election works as long as the switch floods what nobody
// has joined. When it drops that, both directors are MASTER, and both report it. When it floods again, or the directors use
// unicast, one of them is left.
//
// Proves docs/operations.md: "A switch that snoops IGMP or MLD without a querier may drop adverts to a multicast group, although
// RFC 4541 demands that it forward those of 224.0.0.0/24:"
func TestSnooping(t *testing.T) {
	lab.Need(t)
	lab.Release(t)
	r := timing{3, 200 * time.Millisecond}
	p := newPair(t, r, "announcements: {conflict_check: 2s}")
	p.lan.Snoop()
	p.startBoth(r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")

	torn := func() {
		t.Helper()
		p.lan.Unregistered(false)
		lab.Eventually(t, soon, func() error {
			if holders := lab.Holders(p.vip, p.master.Host, p.backup.Host); len(holders) != 2 {
				return fmt.Errorf("only %v", holders)
			}
			return nil
		})
		const said = vip + " is claimed by another machine as well"
		p.master.awaitCheck(2, said)
		p.backup.awaitCheck(2, said)
	}
	torn()
	p.lan.Unregistered(true)
	p.steady(p.master, r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")

	torn()
	file := p.net.File("cluster.yaml", fileHeader(r.version, r.advert.String(), true, "unicast_peers: true\n    announcements: {conflict_check: 2s}"))
	for _, n := range []*node{p.master, p.backup} {
		if n.file != file {
			t.Fatalf("%s has the file %s, not %s", n.Name, n.file, file)
		}
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%s: %v: %s", n.Name, err, out)
		}
	}
	p.steady(p.master, r)
	p.master.awaitCheck(0, "")
	p.backup.awaitCheck(0, "")
}

// TestVIPOutsideNetworks: a VIP that is in no network of the directors moves like any other, the clients reach it by a route to
// the MASTER's segment, and the status says that they need one.
//
// Proves docs/operations.md: "`lvsctl status` says which VIPs are in no network of the machine (`outside_networks` with `-o
// json`)"
func TestVIPOutsideNetworks(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	const outside = "192.0.2.100"
	r := timing{3, 100 * time.Millisecond}
	p := newPair(t, r, "")
	file, err := os.ReadFile(p.master.file)
	if err != nil {
		t.Fatal(err)
	}
	p.net.File("cluster.yaml", strings.Replace(string(file), "["+vip+"/32]", "["+outside+", "+vip+"]", 1))
	p.vip = outside
	p.startBoth(r)
	client := p.net.Host("client", p.lan.At("10.77.0.50/24"))
	reaches := func(n *node) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if out, err := client.Try("ping", "-c", "1", "-W", "1", outside); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			if at := client.Run("ip", "neigh", "show", outside); !strings.Contains(at, n.mac()) {
				return fmt.Errorf("the client's neighbour table has %q, want that of %s", at, n.Name)
			}
			return nil
		})
	}
	if out, err := client.Try("ping", "-c", "1", "-W", "1", outside); err == nil {
		t.Errorf("a client without a route is answered: %s", out)
	}
	client.Run("ip", "route", "add", outside+"/32", "dev", "eth0")
	reaches(p.master)
	for _, n := range []*node{p.master, p.backup} {
		n.awaitCheck(0, "")
		if got := n.status().Instances[0].OutsideNetworks; !slices.Equal(got, []string{outside}) {
			t.Errorf("%s: outside_networks is %v, want %s", n.Name, got, outside)
		}
		if out, _ := n.ctl("status"); !strings.Contains(out, "mysql: in no network of this machine, so that others need a route: "+outside+"\n") {
			t.Errorf("lvsctl status of %s says nothing of %s:\n%s", n.Name, outside, out)
		}
	}
	p.master.daemon.Stop()
	p.steady(p.backup, r)
	reaches(p.backup)
	p.backup.Run("ip", "addr", "add", "192.0.2.3/24", "dev", "eth0")
	lab.Eventually(t, soon, func() error {
		if got := p.backup.status().Instances[0].OutsideNetworks; len(got) > 0 {
			return fmt.Errorf("outside_networks is %v", got)
		}
		return nil
	})
}
