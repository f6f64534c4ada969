package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// reloadCluster is the cluster of TestReloadIsOnePlan, which changes one thing after the other.
type reloadCluster struct {
	*cluster
	addresses *lab.Daemon // ip monitor on lvs-master
}

// rules returns the lines of `ipvsadm -Sn`: one for each virtual server and each real server.
func (n *node) rules() []string {
	return strings.Split(strings.TrimSpace(n.Run("ipvsadm", "-Sn")), "\n")
}

// step calls change, which reloads an edited file, and compares the effects with the expected ones: the lines of
// `ipvsadm -Sn` that are removed and added, the writes to the table, the addresses that are added and removed, and the
// number of verdicts. A change of state of the election is an error.
func (p *reloadCluster) step(t *testing.T, name string, change func(), want effects) {
	t.Helper()
	log, moved, before, had := p.master.daemon.Mark(), p.addresses.Mark(), p.master.rules(), p.master.Addresses("eth0")
	change()
	lab.Eventually(t, soon, func() error { return diff("the table", want.removed, want.added, before, p.master.rules()) })
	for _, address := range slices.Concat(want.addressesAdded, want.addressesRemoved) {
		moved.WaitLog(regexp.QuoteMeta(" "+address+"/32 "), soon)
	}
	time.Sleep(250 * time.Millisecond) // later writes, even if reverted, are in the log
	if err := diff("the table", want.removed, want.added, before, p.master.rules()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	var writes []string
	for _, m := range regexp.MustCompile(`msg=table change="(.*)"`).FindAllStringSubmatch(log.Log(), -1) {
		writes = append(writes, m[1])
	}
	if !slices.Equal(writes, want.writes) {
		t.Errorf("%s: writes to the table %q, want %q", name, writes, want.writes)
	}
	var added, removed []string
	for _, m := range regexp.MustCompile(`(?m)(Deleted )?\d+: eth0 +inet (\S+)/32 `).FindAllStringSubmatch(moved.Log(), -1) {
		if m[1] != "" {
			removed = append(removed, m[2])
		} else if !slices.Contains(had, netip.MustParsePrefix(m[2]+"/32")) { // else a renewed lease
			added = append(added, m[2])
		}
	}
	if !slices.Equal(slices.Compact(added), want.addressesAdded) || !slices.Equal(removed, want.addressesRemoved) {
		t.Errorf("%s: addresses added %q, removed %q; want %q, %q:\n%s", name, added, removed, want.addressesAdded, want.addressesRemoved, moved.Log())
	}
	for _, word := range []string{"msg=state", "msg=verdict"} {
		if got := strings.Count(log.Log(), word); word == "msg=state" && got != 0 || word == "msg=verdict" && got != want.verdicts {
			t.Errorf("%s: %d lines with %s in\n%s", name, got, word, log.Log())
		}
	}
}

// effects are the expected effects of a reload.
type effects struct {
	removed, added, writes, addressesAdded, addressesRemoved []string
	verdicts                                                 int
}

// diff returns an error unless exactly these lines were removed and added between before and after.
func diff(what string, removed, added, before, after []string) error {
	var gotRemoved, gotAdded []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			gotRemoved = append(gotRemoved, line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			gotAdded = append(gotAdded, line)
		}
	}
	slices.Sort(gotRemoved) // ipvsadm sorts differently
	slices.Sort(removed)
	if slices.Equal(gotRemoved, removed) && slices.Equal(gotAdded, added) {
		return nil
	}
	return fmt.Errorf("%s: removed %q, added %q; want %q and %q", what, gotRemoved, gotAdded, removed, added)
}

// TestReloadIsOnePlan: a reload writes each change of the file once and nothing else: no other entry of the table
// changes, the election is not affected, and the checks keep their state.
//
// Proves docs/operations.md: "It writes only the differences: a changed weight is one `ipvsadm -e`, a removed server
// one `-d`, an added server one `-a` after its first successful check."
// Proves docs/operations.md: "Connections, elections and the state of unchanged checks are kept; a server that was down
// stays down until its checks pass."
// Proves docs/operations.md: "Names may change freely: an instance is known by its interface, address family and
// `virtual_router_id`."
func TestReloadIsOnePlan(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	// Intervals long enough for a machine that stalls: this scenario judges reloads, not stalls.
	c := newCluster(t, shape{
		advert: "500ms", instance: "lease: 30s", scheduler: "wrr", weights: [2]int{3, 1},
		check: "{type: tcp, interval: 500ms, timeout: 450ms, fall: 4, rise: 1}",
	})
	mysql3 := c.node("mysql3", "10.77.0.13/24", "lvs-realserver")
	mysql4 := c.node("mysql4", "10.77.0.14/24", "lvs-realserver") // down all the time
	c.edit("weight: 1}\n", "weight: 1}\n      - {name: mysql4, address: 10.77.0.14, weight: 1}\n")
	mysql3.file = c.net.File("later.yaml", strings.Replace(c.text(), "weight: 1}\n", "weight: 1}\n      - {name: mysql3, address: 10.77.0.13}\n", 1))
	c.answering()
	c.startMaster()
	mysql3.start()
	mysql4.start()
	standin.Start(mysql3.Host, ":3306", "mysql3")
	p := &reloadCluster{cluster: c, addresses: c.master.monitor()}
	conns := measure.OpenConnections(c.client, vipPort, 8)
	measured := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond, Timeout: time.Second})
	measured.WaitAnswered("", soon)
	c.master.daemon.WaitLog("server=mysql/mysql4 up=false", soon)
	since := c.downSince("mysql4")
	reloads := func(oldNew ...string) func() { return func() { c.reload(oldNew...) } }
	server := func(n, weight int) string {
		return fmt.Sprintf("-a -t %s -r 10.77.0.%d:3306 -g -w %d", vipPort, 10+n, weight)
	}

	p.step(t, "an added real server", reloads("weight: 3}\n", "weight: 3}\n      - {name: mysql3, address: 10.77.0.13, weight: 2}\n"), effects{
		added: []string{server(3, 2)}, writes: []string{"ipvsadm " + server(3, 2)}, verdicts: 1,
	})
	p.step(t, "a scheduler", reloads("scheduler: wrr", "scheduler: wlc"), effects{
		removed: []string{"-A -t " + vipPort + " -s wrr"}, added: []string{"-A -t " + vipPort + " -s wlc"},
		writes: []string{"ipvsadm -E -t " + vipPort + " -s wlc"},
	})
	p.step(t, "the checks", reloads("interval: 500ms", "interval: 600ms", "fall: 4", "fall: 5"), effects{})
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	p.step(t, "the priority", reloads("priority: 150", "priority: 140"), effects{})
	adverts.Wait(`10\.77\.0\.2 >.* prio 140`, soon)
	adverts.Stop()
	p.step(t, "the name of the instance", reloads("  - name: mysql\n    interface", "  - name: vips\n    interface"), effects{})
	if !testing.Short() {
		// Only the server whose own name changes together with that of its virtual server is taken for another one.
		p.step(t, "names", reloads("name: mysql3,", "name: third,", "  - name: mysql\n    address", "  - name: database\n    address"), effects{verdicts: 1})
		p.step(t, "names back", reloads("name: third,", "name: mysql3,", "name: database", "name: mysql"), effects{verdicts: 1})
	}
	p.step(t, "an added VIP", reloads("[10.77.0.100/32]", "[10.77.0.100/32, 10.77.0.101/32]"), effects{addressesAdded: []string{"10.77.0.101"}})
	p.step(t, "a removed VIP", reloads("[10.77.0.100/32, 10.77.0.101/32]", "[10.77.0.100/32]"), effects{addressesRemoved: []string{"10.77.0.101"}})
	t.Run("nothing", func(t *testing.T) { p.unchangedFile(t) })
	p.step(t, "several at once", reloads(
		"      - {name: mysql3, address: 10.77.0.13, weight: 2}\n", "", "10.77.0.12, weight: 1", "10.77.0.12, weight: 2", "priority: 140", "priority: 145",
	), effects{
		removed: []string{server(3, 2), server(2, 1)}, added: []string{server(2, 2)},
		writes: []string{"ipvsadm -e" + server(2, 2)[2:], "ipvsadm -d -t " + vipPort + " -r 10.77.0.13:3306"},
	})

	if now := c.downSince("mysql4"); now != since {
		t.Errorf("mysql4 was %s, and is %s", since, now)
	}
	if alive := conns.Alive(); alive["mysql1"] != 6 || alive["mysql2"] != 2 {
		t.Errorf("alive %v of 6 and 2: %v", alive, conns.Errors())
	}
	if result := measured.Stop(); result.Failed() > 0 {
		t.Errorf("client connections failed: %s", result)
	}
	p.step(t, "no checks", reloads("    checks:\n      - {type: tcp, interval: 600ms, timeout: 450ms, fall: 5, rise: 1}", "    checks: []"), effects{
		// Without a check mysql4 is used, and its clients get a refusal.
		added: []string{server(4, 1)}, writes: []string{"ipvsadm " + server(4, 1)}, verdicts: 1,
	})
	p.step(t, "checks again", reloads("    checks: []", "    checks:\n      - {type: tcp, interval: 600ms, timeout: 450ms, fall: 5, rise: 1}"), effects{
		removed: []string{server(4, 1)}, writes: []string{"ipvsadm -d -t " + vipPort + " -r 10.77.0.14:3306"}, verdicts: 1,
	})
}

// unchangedFile: reloads of an unchanged file have no effect and cause no extra checks.
func (p *reloadCluster) unchangedFile(t *testing.T) {
	const probes = "tcp[tcpflags] == tcp-syn and src 10.77.0.2 and dst 10.77.0.11"
	times := 3
	if !testing.Short() {
		times = 10
	}
	seen, begun := capture.Start(p.mysql1.Host, "eth0", probes), time.Now()
	p.step(t, "nothing", func() {
		for range times {
			p.reload()
		}
	}, effects{})
	lasted := time.Since(begun)
	if n := len(packetsSince(seen.Stop(), begun)); n > int(lasted/(600*time.Millisecond))+2 {
		t.Errorf("%d checks of mysql1 in %s, one is due every 600 ms", n, lasted)
	}
}

// downSince returns the state of a real server and its start, from the director's status.
func (c *cluster) downSince(name string) string {
	c.t.Helper()
	for _, v := range c.master.status().VirtualServers {
		for _, r := range v.RealServers {
			if r.Name == name {
				return fmt.Sprintf("%s since %s", r.State, r.Since.Format(time.RFC3339Nano))
			}
		}
	}
	c.t.Fatalf("no %s in the status", name)
	return ""
}

// TestTableBeforeANewVIP: a VIP that a reload adds together with its virtual server refuses no client.
//
// Proves docs/operations.md: "A VIP that is added together with its virtual server waits up to a second until that has
// a real server, so that no client is refused:"
func TestTableBeforeANewVIP(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	const other = "10.77.0.101"
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	measured := measure.Start(c.client, other+":3306", measure.Options{Every: 5 * time.Millisecond, Timeout: time.Second})
	lab.Eventually(t, soon, func() error { // the client sends ARP requests for the VIP
		if len(measured.Attempts().Attempts) == 0 {
			return fmt.Errorf("no attempt yet")
		}
		return nil
	})
	_, service, _ := strings.Cut(c.text(), "virtual_servers:\n")
	service = strings.Replace(strings.Replace(service, "name: mysql\n", "name: other\n", 1), "address: "+vip, "address: "+other, 1)
	// The new servers' first checks must take longer than adding a VIP.
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.Link("eth0").Netem("delay 40ms")
	}
	c.edit("[10.77.0.100/32]", "[10.77.0.100/32, "+other+"/32]")
	c.net.File("cluster.yaml", c.text()+service)
	for _, n := range []*node{c.mysql1, c.mysql2, c.master} {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%s: lvsctl reload: %v %q", n.Name, err, out)
		}
	}
	measured.WaitAnswered("mysql1", soon)
	measured.WaitAnswered("mysql2", soon)
	if result := measured.Stop(); result.Failures()["refused"] > 0 {
		t.Errorf("the director refused clients of the new VIP: %s", result)
	}
}

// text returns the current content of the cluster file.
func (c *cluster) text() string {
	c.t.Helper()
	data, err := os.ReadFile(c.file)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}
