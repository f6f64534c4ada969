package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/ipvsadm"
)

// rewrite replaces texts in the cluster file, which all nodes share. Each old text must occur in it.
func (c *cluster) rewrite(replacements ...string) {
	c.t.Helper()
	rewrite(c.t, c.file, replacements...)
}

// rewrite is that for another file.
func rewrite(t *testing.T, file string, replacements ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(string(text), replacements[i]) {
			t.Fatalf("the cluster file has no %q:\n%s", replacements[i], text)
		}
	}
	changed := strings.NewReplacer(replacements...).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A holdPeriod is a period in which a host had the VIP, as seen by `ip monitor`. from is zero if it began before the
// watch, to while it lasts.
type holdPeriod struct{ from, to time.Time }

func (t holdPeriod) String() string {
	const clock = "15:04:05.000000"
	if t.to.IsZero() {
		return t.from.Format(clock) + "-"
	}
	return t.from.Format(clock) + "-" + t.to.Format(clock)
}

// A vipWatch records when a host gets and loses the VIP, by `ip monitor`.
type vipWatch struct {
	n     *node
	d     *lab.Daemon
	event *regexp.Regexp
}

// watchVIP starts a vipWatch and returns once it records.
func (n *node) watchVIP() *vipWatch {
	n.t.Helper()
	return n.watch("inet " + vipPrefix)
}

// watch is watchVIP for another VIP, as ip(8) prints it: "inet6 fd00:77::100/128".
func (n *node) watch(address string) *vipWatch {
	n.t.Helper()
	w := &vipWatch{
		n, n.Host.Start("ip-monitor", "ip", "-tshort", "-oneline", "monitor", "address", "dev", "eth0"),
		regexp.MustCompile(`^(?:\[[^\]]+\] )*\[([^\]]+)\] (Deleted )?.* ` + regexp.QuoteMeta(address) + ` `),
	}
	const marker = "192.0.2.1/32"
	lab.Eventually(n.t, soon, func() error { // ip monitor does not report that it listens
		n.Run("ip", "addr", "add", marker, "dev", "eth0")
		n.Run("ip", "addr", "del", marker, "dev", "eth0")
		if !strings.Contains(w.d.Log(), marker) {
			return fmt.Errorf("ip monitor on %s reports nothing: %s", n.Name, w.d.Log())
		}
		return nil
	})
	return w
}

// periods returns the periods in which the host had the VIP since the watch began.
func (w *vipWatch) periods() (all []holdPeriod) {
	w.n.t.Helper()
	for _, line := range w.d.LogLines() {
		words := w.event.FindStringSubmatch(line.Text)
		if words == nil {
			continue
		}
		at, err := time.ParseInLocation("2006-01-02T15:04:05.999999", words[1], time.Local)
		if err != nil {
			w.n.t.Fatalf("ip monitor: %q: %v", line.Text, err)
		}
		open := len(all) > 0 && all[len(all)-1].to.IsZero()
		switch {
		case words[2] == "" && !open: // if open, a renewed lease
			all = append(all, holdPeriod{from: at})
		case words[2] != "" && open:
			all[len(all)-1].to = at
		case words[2] != "": // held since before the watch began
			all = append(all, holdPeriod{to: at})
		}
	}
	return all
}

// awaitPeriods waits until there are at least count periods.
func (w *vipWatch) awaitPeriods(count int) (all []holdPeriod) {
	w.n.t.Helper()
	lab.Eventually(w.n.t, soon, func() error {
		if all = w.periods(); len(all) < count {
			return fmt.Errorf("%s held the VIP %v, want %d periods", w.n.Name, all, count)
		}
		return nil
	})
	return all
}

// awaitEnd waits until a period has ended, and returns when the last one did.
func (w *vipWatch) awaitEnd(timeout time.Duration) (end time.Time) {
	w.n.t.Helper()
	lab.Eventually(w.n.t, timeout, func() error {
		all := w.periods()
		for _, period := range slices.Backward(all) {
			if end = period.to; !end.IsZero() {
				return nil
			}
		}
		return fmt.Errorf("%s still holds the VIP: %v", w.n.Name, all)
	})
	return end
}

// awaitPacket waits for a packet in a running capture with -v, and returns all packets up to then.
func awaitPacket(t *testing.T, c *capture.Capture, pattern string) (packets []capture.Packet) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		if packets = c.Packets(); len(capture.Matching(packets, "(?s)"+pattern)) == 0 {
			return fmt.Errorf("no packet like %s in %v", pattern, packets)
		}
		return nil
	})
	return packets
}

// overlap returns the longest single time in which both hosts had the VIP, until now.
func overlap(a, b *vipWatch) (longest time.Duration) {
	now := time.Now()
	end := func(t holdPeriod) time.Time {
		if t.to.IsZero() {
			return now
		}
		return t.to
	}
	for _, x := range a.periods() {
		for _, y := range b.periods() {
			from, to := x.from, end(x)
			if y.from.After(from) {
				from = y.from
			}
			if end(y).Before(to) {
				to = end(y)
			}
			longest = max(longest, to.Sub(from))
		}
	}
	return longest
}

// TestElection: of two directors that start together one holds the VIP within the time of an election, and a VIP left
// by an earlier run is removed from both before either sends an advert. Both have the same table, so the BACKUP is
// ready.
//
// Proves docs/packet-flow.md: "A director that starts and receives no adverts takes the VIP after 3 × advert_interval
// plus its own skew."
// Proves docs/operations.md: "The next start removes a leftover VIP before it sends its first advert, and restores the
// state described by the cluster file."
// Proves docs/index.md: "The other director has the same table and takes over."
func TestElection(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	for _, r := range []timing{{3, time.Second}, {3, 100 * time.Millisecond}, {2, time.Second}} {
		t.Run(r.String(), func(t *testing.T) { elect(t, r) })
	}
}

func elect(t *testing.T, r timing) {
	c := newCluster(t, shape{version: r.version, advert: r.advert.String(), scheduler: "wrr", weights: [2]int{3, 1}})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	adverts := capture.Start(c.client, "eth0", lab.VRRP, "-v")
	directors := []*node{c.master, c.backup}
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	skew := time.Duration(256-150) * r.advert / 256
	if r.version == 2 {
		skew = 106 * time.Second / 256
	}
	startWithStaleVIP(directors, watches)
	var directing time.Time // when both run: starting the processes is not part of the election
	for _, n := range directors {
		if at := loggedAt(t, n.daemon.WaitLog("msg=directing", soon)); at.After(directing) {
			directing = at
		}
	}
	took, limit := awaitSettled(c, watches).Sub(directing), 3*r.advert+skew+time.Second // a second for the first checks
	t.Logf("%s: a single holder %s after the start, limit %s", r, took.Round(time.Millisecond), limit)
	if took > limit {
		t.Errorf("a single holder only %s after the start, want at most %s", took, limit)
	}
	judgeStale(t, watches, adverts.Packets())

	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
	const want = "TCP 10.77.0.100:3306 wrr persistent 0 \n  10.77.0.11:3306 Route 3\n  10.77.0.12:3306 Route 1\n"
	for _, n := range directors {
		if got := sortedRule(n.table()); got != want {
			t.Errorf("ipvsadm -Ln on %s:\n%swant\n%s", n.Name, got, want)
		}
	}
	interval := map[int]string{3: fmt.Sprintf("intvl %dcs", r.advert/(10*time.Millisecond)), 2: "intvl 1s"}[r.version]
	packets := awaitPacket(t, adverts, fmt.Sprintf(`10\.77\.0\.2 > 224\.0\.0\.18: .*VRRPv%d, Advertisement, vrid 51, prio 150,.* %s,`, r.version, interval))
	for _, p := range capture.Matching(packets, `bad|wrong`) {
		t.Errorf("tcpdump complains: %s", p.Text)
	}
}

// startWithStaleVIP starts directors together on machines that still have the VIP, as after a kill -9 of a director.
// The stale VIP is the first period of each watch.
func startWithStaleVIP(directors []*node, watches []*vipWatch) {
	for i, n := range directors {
		n.leaveVIP()
		watches[i].awaitPeriods(1)
	}
	for _, n := range directors {
		n.start()
	}
}

// leaveVIP gives a machine the VIP with a lease and a state file that records it, as a killed director leaves them.
func (n *node) leaveVIP() {
	n.t.Helper()
	n.Run("ip", "addr", "add", vipPrefix, "dev", "eth0", "valid_lft", "600", "preferred_lft", "600")
	n.Run("sh", "-c", fmt.Sprintf(`mkdir -p %[1]s && printf '{"version": 2, "boot_id": "%%s", "addresses": [{"interface": "eth0", "prefix": "%[2]s"}]}' \
		"$(cat /proc/sys/kernel/random/boot_id)" >%[1]s/state.json`, n.Path("state"), vipPrefix))
}

// awaitSettled waits until lvs-master alone holds the VIP as the result of an election, and returns since when.
func awaitSettled(c *cluster, watches []*vipWatch) (since time.Time) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		one, other := watches[0].periods(), watches[1].periods()
		last, otherLast := one[len(one)-1], other[len(other)-1]
		if len(one) == 1 || !last.to.IsZero() || otherLast.to.IsZero() {
			return fmt.Errorf("lvs-master held the VIP %v, lvs-backup %v", one, other)
		}
		since = last.from
		if otherLast.to.After(since) {
			since = otherLast.to
		}
		return nil
	})
	c.awaitHolder(c.master, soon)
	return since
}

// judgeStale fails the test if a director sent an advert before its stale VIP was removed.
func judgeStale(t *testing.T, watches []*vipWatch, packets []capture.Packet) {
	t.Helper()
	for _, w := range watches {
		period := w.periods()[0]
		for _, p := range capture.Matching(packets, regexp.QuoteMeta(w.n.Address().String())+` > 224`) {
			if period.to.IsZero() || period.to.After(p.Time) {
				t.Errorf("%s sent an advert at %s, before its stale VIP was removed: %s", w.n.Name, p.Time, period)
			}
		}
	}
}

// sortedRule returns the rule of a table of one service with the servers sorted by address: the table has them in the
// order in which their checks passed.
func sortedRule(table ipvsadm.Table) string {
	lines := strings.SplitAfter(table.Rule(), "\n")
	if len(lines) > 2 {
		slices.Sort(lines[1 : len(lines)-1])
	}
	return strings.Join(lines, "")
}

// TestVIP: a VIP is a leased /32 that never becomes a source address, even when the interface's own address is removed
// and added again; adverts have the IP header of RFC 9568 5.1.
//
// Proves docs/cluster-file.md: "No other prefix length: a virtual address is never a source address."
// Proves docs/packet-flow.md: "Its source is the director's `address` if the interface has it, else the interface's
// first address that is not a VIP, never a VIP."
// Proves docs/quickstart.md: "The VIP has a lifetime of a few seconds, which the director renews."
func TestVIP(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String()})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	adverts := capture.Start(c.client, "eth0", lab.VRRP, "-v")
	probes := capture.Start(c.mysql1.Host, "eth0", "src host "+vip+" and tcp dst port 3306")
	c.master.start()
	c.awaitHolder(c.master, soon)
	leased := func() error {
		out := c.master.Run("ip", "-oneline", "addr", "show", "dev", "eth0", "to", vipPrefix)
		words := regexp.MustCompile(`inet 10\.77\.0\.100/32 .* valid_lft ([123])sec`).FindStringSubmatch(out)
		if words == nil {
			return fmt.Errorf("ip addr prints %q, want a /32 with a lease of at most 3 s", out)
		}
		return nil
	}
	lab.Consistently(t, 4*time.Second, leased) // longer than the lease: it is renewed
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")

	batch := c.net.File("readdress", "addr del 10.77.0.2/24 dev eth0\naddr add 10.77.0.2/24 dev eth0\n")
	c.master.Run("ip", "-batch", batch)
	again := time.Now()
	c.awaitHolder(c.master, soon)
	lab.Eventually(t, soon, func() error {
		for _, p := range capture.Matching(adverts.Packets(), `(?s)10\.77\.0\.2 > 224\.0\.0\.18: .*prio 150`) {
			if p.Time.After(again.Add(time.Second)) {
				return nil
			}
		}
		return fmt.Errorf("no adverts from 10.77.0.2 since the address was added again")
	})
	if err := leased(); err != nil {
		t.Error(err)
	}
	for _, p := range adverts.Stop() {
		if !strings.Contains(p.Text, "tos 0xc0, ttl 255,") || !strings.Contains(p.Text, "10.77.0.2 > 224.0.0.18") || strings.Contains(p.Text, "bad") {
			t.Errorf("an advert that is not from 10.77.0.2 with DSCP CS6 and TTL 255: %s", p.Text)
		}
	}
	for _, p := range probes.Stop() {
		t.Errorf("a probe came from the VIP: %s", p.Text)
	}
}

// TestGratuitousARP: a director that takes over the VIP announces it at once and then every 1.1 s, as request and as
// reply: for 5 s after a peer that resigned, and until 2 s after the end of the peer's lease if the peer stopped
// sending, because that peer may still answer ARP.
//
// Proves docs/packet-flow.md: "The MASTER announces the VIP by gratuitous ARP, once as a request and once as a reply,
// because some devices process only one of them:"
// Proves docs/packet-flow.md: "It does so at once when it takes the VIP, then every 1.1 s for 5 s, and once a minute
// afterwards. If the previous holder went silent instead of resigning, it continues until that holder's lease has ended plus
// 2 s, because until then the previous holder may still answer."
func TestGratuitousARP(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.StockKernel)
	for _, one := range []struct {
		name string
		end  func(*lab.Daemon)
		last time.Duration
	}{
		{"resigned", func(d *lab.Daemon) { d.Stop() }, 5 * time.Second},
		{"silent", (*lab.Daemon).Kill, 8 * time.Second}, // a lease of 6 s + 2 s
	} {
		t.Run(one.name, func(t *testing.T) {
			judgeAnnouncements(t, one.end, one.last)
		})
	}
}

// judgeAnnouncements ends a MASTER and judges the gratuitous ARP of its peer, from the takeover until last after it.
func judgeAnnouncements(t *testing.T, end func(*lab.Daemon), last time.Duration) {
	t.Helper()
	c := newCluster(t, shape{advert: relaxedAdvert.String(), instance: "lease: 6s", more: resignsAtOnce})
	watch := c.backup.watchVIP()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.backup.start()
	lab.Eventually(t, soon, func() error { return c.backup.stateIs("BACKUP") })
	arp := capture.Start(c.client, "eth0", "arp and arp[14:4] = 0x0a4d0064 and ether src "+c.backup.mac())
	end(c.master.daemon)
	arp.Wait("10.77.0.100", soon)
	taken := watch.awaitPeriods(1)[0].from
	time.Sleep(time.Until(taken.Add(last + 1200*time.Millisecond))) // long enough to see that no more are sent
	packets := arp.Stop()
	for form, pattern := range map[string]string{
		"requests": `> ff:ff:ff:ff:ff:ff, .*Request who-has 10\.77\.0\.100 .*tell 10\.77\.0\.100`,
		"replies":  `> ff:ff:ff:ff:ff:ff, .*Reply 10\.77\.0\.100 is-at ` + c.backup.mac(),
	} {
		var at []time.Duration
		for _, p := range capture.Matching(packets, pattern) {
			at = append(at, p.Time.Sub(taken).Round(time.Millisecond))
		}
		t.Logf("gratuitous ARP %s: %v", form, at)
		if want := int(last/(1100*time.Millisecond)) + 1; len(at) != want {
			t.Errorf("%d gratuitous ARP %s, want %d: %v", len(at), form, want, at)
		}
		for i, d := range at {
			if late := d - time.Duration(i)*1100*time.Millisecond; late < -allowance || late > allowance {
				t.Errorf("gratuitous ARP %s number %d came %s after the takeover, want one every 1.1 s", form, i+1, d)
			}
		}
	}
}

// stateIs checks the state of the first instance in the director's status: no stock tool shows that a director is
// BACKUP.
func (n *node) stateIs(want string) error {
	out, err := n.ctl("status", "-o", "json")
	if err != nil {
		return err
	}
	if !strings.Contains(out, `"state": "`+want+`"`) {
		return fmt.Errorf("%s is not %s: %s", n.Name, want, out)
	}
	return nil
}
