package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// forged returns an advert of priority 200 for the cluster's VRID, built by hand after RFC 9568 5.2: a MASTER that
// accepted it would become BACKUP. before and after change the message before and after the checksum is computed; nil
// changes nothing.
func forged(before, after func([]byte) []byte) []byte {
	keep := func(b []byte) []byte { return b }
	if before == nil {
		before = keep
	}
	if after == nil {
		after = keep
	}
	b := before([]byte{3<<4 | 1, 51, 200, 1, 0, 10, 0, 0, 10, 77, 0, 100})
	var sum uint32 // RFC 1071, without a pseudo-header
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[6:], ^uint16(sum))
	return after(b)
}

// TestForgedPackets: invalid packets are ignored and counted by reason, without a transition or a late advert.
//
// Proves docs/operations.md: "An invalid packet is ignored and counted by reason. Elections and adverts are not
// affected."
func TestForgedPackets(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const times = 3
	set := func(at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = to; return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	forgeries := []struct {
		reason  string
		ttl     uint8
		payload []byte
	}{
		{"ttl", 254, forged(nil, nil)},
		{"checksum", 255, forged(nil, set(2, 201))},
		{"version", 255, forged(set(0, 2<<4|1), nil)},
		{"length", 255, forged(nil, cut(11))},
		{"vrid", 255, forged(set(1, 52), nil)},
		{"type", 255, forged(set(0, 3<<4|2), nil)},
		{"address_count", 255, forged(func(b []byte) []byte { b[3] = 0; return b[:8] }, nil)},
	}

	const every = 400 * time.Millisecond
	c := newCluster(t, shape{advert: every.String()})
	c.answering()
	c.startAll()
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	marks := []*lab.Daemon{c.master.daemon, c.backup.daemon}
	before := map[*node]map[string]uint64{c.master: c.master.dropped(), c.backup: c.backup.dropped()}
	adverts := capture.Start(c.client, "eth0", lab.VRRP+" and src host 10.77.0.2")
	adverts.Wait("prio 150", soon)
	quiet := []lab.LogMark{marks[0].Mark(), marks[1].Mark()}

	from, group := netip.MustParseAddr("10.77.0.50"), netip.MustParseAddr("224.0.0.18")
	for _, f := range forgeries { // one kind after the other: of one source at most 8 at once are examined
		for range times {
			capture.Send(c.client, "eth0", from, group, f.ttl, 112, f.payload)
		}
		for _, n := range []*node{c.master, c.backup} {
			lab.Eventually(t, soon, func() error {
				if counted := n.dropped()[f.reason] - before[n][f.reason]; counted != times {
					return fmt.Errorf("%s counted %d packets with a wrong %s, want %d", n.Name, counted, f.reason, times)
				}
				return nil
			})
		}
	}

	const fuzzed = 1000 // invalid packets, not a flood; with a wrong checksum, or some mutations would be valid
	flood := capture.StartFlood(c.client, capture.FloodOptions{
		Sources: []netip.Addr{from}, Payloads: [][]byte{forged(nil, set(6, 0))}, Mutate: true, Seed: 112, Rate: 250, Count: fuzzed,
	})
	flood.Stop()
	adverts.Packets() // returns after all of them have passed
	for _, n := range []*node{c.master, c.backup} {
		lab.Eventually(t, soon, func() error {
			all := uint64(0)
			for _, count := range n.dropped() {
				all += count
			}
			if all < fuzzed {
				return fmt.Errorf("%s counted %d ignored packets, want at least the %d that were sent", n.Name, all, fuzzed)
			}
			return nil
		})
	}
	ended := time.Now()
	packets := adverts.Stop()

	for i, n := range []*node{c.master, c.backup} {
		if !n.daemon.Running() {
			t.Fatalf("%s has exited:\n%s", n.Name, n.daemon.Log())
		}
		if log := quiet[i].Log(); strings.Contains(log, "msg=state") {
			t.Errorf("%s changed its state:\n%s", n.Name, log)
		}
	}
	if periods := watches[0].periods(); slices.ContainsFunc(periods, func(t holdPeriod) bool { return !t.to.IsZero() }) {
		t.Errorf("lvs-master lost the VIP: %v", periods)
	}
	if periods := watches[1].periods(); len(periods) > 0 {
		t.Errorf("lvs-backup took the VIP: %v", periods)
	}
	onTime(t, ended, packets, every)
}

// dropped returns the director's counters of ignored packets by reason, summed over all instances and interfaces.
func (n *node) dropped() map[string]uint64 {
	n.t.Helper()
	all := map[string]uint64{}
	s := n.status()
	for _, i := range s.Instances {
		for reason, count := range i.Dropped {
			all[reason] += count
		}
	}
	for _, i := range s.Interfaces {
		for reason, count := range i.Dropped {
			all[reason] += count
		}
	}
	return all
}
