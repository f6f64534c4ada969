package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestBenchHandover: what clients notice of a graceful stop of the MASTER, and of its return, of lvs-director and of keepalived in
// the same boot, side by side: the longest gap between answered new connections, one of which begins every 5 ms, and how many fail.
//
// Proves docs/failover.md: "The order is make before break: the other director has the VIPs before this one lets them go, so that new
// connections are answered all the time."
func TestBenchHandover(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Bench(t)
	const trials = 3
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-9s | %-12s | %-10s | %-30s | %s\n", "timing", "", "", "longest gaps", "failed connections")
	for _, r := range []timing{{2, time.Second}, {3, time.Second}, {3, 100 * time.Millisecond}} {
		for _, p := range products {
			var stops, returns outages
			for trial := range trials {
				t.Run(fmt.Sprintf("%s/%s/%d", r, p.name, trial+1), func(t *testing.T) {
					c := newCluster(t, shape{version: r.version, advert: r.advert.String()})
					c.serve(p, r)
					client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond})
					client.WaitAnswered("", soon)
					begun := time.Now()
					c.master.daemon.Stop()
					c.awaitHolder(c.backup, soon)
					client.WaitAnswered("", soon)
					back := time.Now()
					p.start(c.master, r)
					c.awaitHolder(c.master, soon)
					client.WaitAnswered("", soon)
					result := client.Stop()
					stops.add(result.Since(begun).Until(back))
					returns.add(result.Since(back))
				})
			}
			fmt.Fprintf(&table, "%-9s | %-12s | %-10s | %-30s | %v\n", r, p.name, "stop", fmt.Sprint(stops.gaps), stops.failed)
			fmt.Fprintf(&table, "%-9s | %-12s | %-10s | %-30s | %v\n", r, p.name, "preemption", fmt.Sprint(returns.gaps), returns.failed)
		}
	}
	t.Log(table.String())
}

// outages are what clients noticed in several trials.
type outages struct {
	gaps   []time.Duration
	failed []int
}

func (o *outages) add(r measure.Result) {
	o.gaps, o.failed = append(o.gaps, r.LongestGap().Duration.Round(time.Millisecond)), append(o.failed, r.Failed())
}
