package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// The size of the table that TestBenchThousand measures with.
const (
	thousand    = 1000 // virtual servers
	poolSize    = 4    // real servers of each
	benchRounds = 3
	// quiesced is past the two minutes after which Go collects garbage that nothing forced it to collect: what is resident
	// then is what the director keeps.
	quiesced = 130 * time.Second
	resting  = time.Minute // over which CPU at rest is counted
	fresh    = 10 * time.Second
)

// figure is one thing that TestBenchThousand measures.
type figure struct{ name, unit string }

var thousandFigures = []figure{
	{"start until MASTER", "ms"},
	{"start until the table is complete", "ms"},
	{"CPU until it is complete", "ms"},
	{"RSS 10 s after the start", "MB"},
	{"RSS at rest", "MB"},
	{"CPU at rest", "%"},
	{"reload", "ms"},
	{"CPU of a reload", "ms"},
	{"RSS 10 s after a reload", "MB"},
	{"RSS at its worst", "MB"},
	{"CPU in all", "ms"},
	{"stop", "ms"},
}

// TestBenchThousand: what a director with 1 000 virtual servers of 4 real servers needs for its start, a reload and its end,
// and at rest, is printed. LVS_REFERENCE is the directory of another build of lvs-director, to be measured by turns with ours
// in the same boot; the ratios are of the medians. Without it there is one round. `make bench-thousand` runs it.
//
// Proves docs/operations.md: "`make bench-thousand` prints the figures for 1 000 virtual servers with 4 real servers
// each."
func TestBenchThousand(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	thousandBench(t, "without checks", "")
}

// TestBenchThousandChecked: the same is printed of real servers with a check each, once a minute.
//
// Proves docs/operations.md: "`make bench-thousand` prints the figures for 1 000 virtual servers with 4 real servers
// each."
func TestBenchThousandChecked(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	thousandBench(t, "with checks", fmt.Sprintf("{type: tcp, port: %d, interval: 60s, timeout: 30s}", standin.FarmTCP))
}

// thousandBench measures the binaries by turns.
func thousandBench(t *testing.T, name, checks string) {
	binaries, rounds := []string{program(t, "lvs-director")}, 1
	if dir := os.Getenv("LVS_REFERENCE"); dir != "" {
		binaries, rounds = append(binaries, filepath.Join(dir, "lvs-director")), benchRounds
	}
	got := map[string]map[figure][]float64{}
	for range rounds {
		for _, binary := range binaries {
			if got[binary] == nil {
				got[binary] = map[figure][]float64{}
			}
			values := thousandOnce(t, binary, checks)
			if values == nil { // it failed
				return
			}
			for i, value := range values {
				got[binary][thousandFigures[i]] = append(got[binary][thousandFigures[i]], value)
			}
		}
	}
	t.Log(thousandTable(fmt.Sprintf("%s; medians of %d", name, rounds), binaries, got))
}

// thousandTable has the medians, and between two binaries the ratios.
func thousandTable(name string, binaries []string, got map[string]map[figure][]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d virtual servers of %d, %s\n%-34s | %-22s", thousand, poolSize, name, "", "this build")
	if len(binaries) > 1 {
		fmt.Fprintf(&b, " | %-22s | ratio", "reference")
	}
	for _, f := range thousandFigures {
		fmt.Fprintf(&b, "\n%-34s", f.name+", "+f.unit)
		medians := make([]float64, len(binaries))
		for i, binary := range binaries {
			all := slices.Sorted(slices.Values(got[binary][f]))
			medians[i] = all[len(all)/2]
			fmt.Fprintf(&b, " | %7.2f (%.1f-%.1f)", medians[i], all[0], all[len(all)-1])
		}
		if len(medians) > 1 {
			fmt.Fprintf(&b, " | %.2f", medians[0]/medians[1])
		}
	}
	return b.String()
}

// thousandOnce is one life of a director, in the order of thousandFigures.
func thousandOnce(t *testing.T, binary, checks string) (values []float64) {
	t.Run(filepath.Base(filepath.Dir(binary)), func(t *testing.T) {
		net := lab.New(t)
		lan := net.Bridge("lan")
		servers := net.Host("servers", lan.At("10.77.0.11/24"))
		if checks != "" {
			standin.StartFarm(servers, farmNetwork)
		}
		host := net.Host("lvs-master", lan.At("10.77.0.2/24"))
		host.Run("ip", "route", "add", farmNetwork, "via", "10.77.0.11")
		n := newNode(t, host, "lvs-director", net.File("cluster.yaml", thousandFile(checks)))
		n.binary = binary
		milliseconds := func(begun time.Time) float64 { return float64(time.Since(begun).Microseconds()) / 1000 }
		begun := time.Now()
		n.start().WaitLog("to=MASTER", 2*time.Minute)
		start := milliseconds(begun)
		lab.Eventually(t, 2*time.Minute, func() error { return complete(host) })
		filled := milliseconds(begun)
		worked := n.daemon.Usage().CPU
		time.Sleep(fresh)
		soonAfter := float64(n.daemon.Usage().Resident) / 1e6
		time.Sleep(quiesced)
		before := n.daemon.Usage()
		time.Sleep(resting)
		after := n.daemon.Usage()
		share := 100 * float64(after.CPU-before.CPU) / float64(after.At.Sub(before.At))
		mark := n.daemon.Mark()
		begun = time.Now()
		n.daemon.Signal(syscall.SIGHUP)
		mark.WaitLog("msg=reloaded", time.Minute)
		reload := milliseconds(begun)
		reloadWork := n.daemon.Usage().CPU - after.CPU
		time.Sleep(fresh)
		reloaded := n.daemon.Usage()
		begun = time.Now()
		if code := n.daemon.Stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		values = []float64{
			start, filled, float64(worked.Milliseconds()), soonAfter, float64(after.Resident) / 1e6, share,
			reload, float64(reloadWork.Milliseconds()), float64(reloaded.Resident) / 1e6, float64(reloaded.Peak) / 1e6,
			float64(reloaded.CPU.Milliseconds()), milliseconds(begun),
		}
		t.Logf("%.2f", values)
	})
	return values
}

// complete returns an error until the IPVS table has all servers.
func complete(host *lab.Host) error {
	const entry = "\n  -> " // of a real server; the first is the heading
	if n := strings.Count(host.Run("cat", "/proc/net/ip_vs"), entry) - 1; n != thousand*poolSize {
		return fmt.Errorf("the table has %d real servers", n)
	}
	return nil
}

// thousandFile is a cluster file with the table. A VIP of its own for each virtual server would measure the address loop.
func thousandFile(checks string) string {
	var b strings.Builder
	b.WriteString(fileHeader(3, "1s", true, ""))
	b.WriteString("virtual_servers:\n")
	for v := range thousand {
		fmt.Fprintf(&b, "  - {name: v%d, address: %s, port: %d, scheduler: rr, forward: dr, checks: [%s], real_servers: [", v, vip, 10000+v, checks)
		for r := range poolSize {
			n := v*poolSize + r
			fmt.Fprintf(&b, "{name: s%d, address: 10.78.%d.%d}, ", n, n/200, 1+n%200)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}
