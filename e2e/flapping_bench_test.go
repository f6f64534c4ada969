package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestBenchFlapping: what clients notice of a MASTER whose link flaps for a minute, and afterwards, of lvs-director and of
// keepalived in the same boot, with a healthy BACKUP and without, with a delay for links that flap and without.
//
// Proves docs/failover.md: "with another director a delay is for losses that are short and rare"
func TestBenchFlapping(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Bench(t)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-12s | %-13s | %-10s | %-8s | %-24s | %-24s | %s\n", "", "out, in", "down delay", "BACKUP", "answered while it flaps", "answered in the 30 s after", "longest gaps")
	for _, link := range []struct{ out, in time.Duration }{{time.Second, 2 * time.Second}, {300 * time.Millisecond, 700 * time.Millisecond}} {
		for _, delay := range []bool{false, true} {
			for _, backup := range []bool{true, false} {
				for _, p := range products {
					t.Run(fmt.Sprintf("%s/%s/%t/%t", p.name, link.out, delay, backup), func(t *testing.T) {
						during, after := flapped(t, p.name, link.out, link.in, delay, backup)
						fmt.Fprintf(&table, "%-12s | %-13s | %-10t | %-8t | %4d of %4d %v | %4d of %4d %v | %s, %s\n", p.name, fmt.Sprint(link.out, ", ", link.in), delay, backup,
							len(during.Attempts)-during.Failed(), len(during.Attempts), during.AnsweredBy(), len(after.Attempts)-after.Failed(), len(after.Attempts), after.AnsweredBy(),
							during.LongestOutage().Duration.Round(10*time.Millisecond), after.LongestOutage().Duration.Round(10*time.Millisecond))
					})
				}
			}
		}
	}
	t.Log(table.String())
}

// flapped lets the link of the MASTER flap for a minute.
func flapped(t *testing.T, name string, out, in time.Duration, delay, backup bool) (during, after measure.Result) {
	c := newCluster(t, shape{})
	more, blocks := "", ""
	if delay {
		more = "interface_down_delay: 2s\n    interface_up_delay: 10s"
		blocks = "interface_up_down_delays {\n  eth0 2 10\n}\n"
	}
	if err := os.WriteFile(c.file, []byte(fileHeader(3, "1s", true, more)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{c.master, c.backup} {
		standin.Start(n.Host, ":3306", n.Name)
		if n == c.backup && !backup {
			continue
		}
		if name == "keepalived" {
			priority := map[bool]int{true: 150, false: 100}[n == c.master]
			n.daemon = lab.StartKeepalived(n.Host, fmt.Sprintf("%svrrp_instance mysql {\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  priority %d\n  advert_int 1\n  version 3\n  virtual_ipaddress { %s/32 }\n}\n", blocks, priority, vip))
			continue
		}
		n.start()
	}
	c.awaitHolder(c.master, soon)
	client := measure.Start(c.client, vipPort, measure.Options{Every: 50 * time.Millisecond})
	client.WaitAnswered("", soon)
	begun, cable := time.Now(), c.master.Link("eth0")
	for time.Since(begun) < time.Minute {
		cable.CarrierDown()
		time.Sleep(out)
		cable.CarrierUp()
		time.Sleep(in)
	}
	end := time.Now()
	time.Sleep(30 * time.Second)
	result := client.Stop()
	return result.Since(begun).Until(end), result.Since(end)
}
