package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// growthPool is the number of real servers of each virtual server in TestBenchTable.
const growthPool = 20

// growthSizes returns the numbers of real servers to measure with: those of LVS_BENCH_SERVERS, or some.
func growthSizes(t *testing.T) []int {
	text := os.Getenv("LVS_BENCH_SERVERS")
	if text == "" {
		text = "100 1000 10000"
	}
	var sizes []int
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(word)
		if err != nil || n < growthPool || n > 32_000 {
			t.Fatalf("LVS_BENCH_SERVERS=%q: want numbers of real servers from %d to 32000", text, growthPool)
		}
		sizes = append(sizes, n/growthPool*growthPool)
	}
	return sizes
}

// TestBenchTable: how the time for a start, a reload of one weight and a stop grows with the number of real servers is printed,
// beside the time in which ipvsadm -R makes the same table. LVS_BENCH_SERVERS="100 32000" has other numbers. `make bench-table`
// runs it.
//
// Proves docs/performance.md: "`make bench-table` prints how these times grow"
func TestBenchTable(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%12s | %10s | %10s | %10s | %10s | %10s | %8s", "real servers", "ipvsadm -R", "start", "reload", "writes", "stop", "RSS")
	for _, size := range growthSizes(t) {
		t.Run(fmt.Sprint(size), func(t *testing.T) { growthOnce(t, size, &b) })
	}
	t.Log(b.String())
}

// growthOnce is one life of a director.
func growthOnce(t *testing.T, size int, b *strings.Builder) {
	net := lab.New(t)
	lan := net.Bridge("lan")
	host := net.Host("lvs-master", lan.At("10.77.0.2/24"))
	n := newNode(t, host, "lvs-director", net.File("cluster.yaml", growthFile(size, 3)))
	entries := func(of *lab.Host) int { return strings.Count(of.Run("cat", "/proc/net/ip_vs"), "\n  -> ") - 1 }
	begun := time.Now()
	n.start()
	lab.Eventually(t, 5*time.Minute, func() error {
		if got := entries(host); got != size {
			return fmt.Errorf("the table has %d real servers, want %d", got, size)
		}
		return nil
	})
	start := time.Since(begun)
	rules := net.File("table.rules", host.Run("ipvsadm", "-Sn"))
	net.File("cluster.yaml", growthFile(size, 4))
	mark := n.daemon.Mark()
	begun = time.Now()
	n.daemon.Signal(syscall.SIGHUP)
	mark.WaitLog("msg=table", time.Minute)
	reload := time.Since(begun)
	mark.WaitLog("msg=reloaded", time.Minute)
	used := n.daemon.Usage()
	writes := strings.Count(mark.Log(), "msg=table")
	begun = time.Now()
	if code := n.daemon.Stop(); code != 0 || entries(host) > 0 {
		t.Errorf("exit code %d", code)
	}
	stop := time.Since(begun)
	begun = time.Now()
	host.Run("sh", "-c", "ipvsadm -R < "+rules)
	restore := time.Since(begun)
	if got := entries(host); got != size {
		t.Errorf("ipvsadm -R made %d real servers, want %d", got, size)
	}
	fmt.Fprintf(b, "\n%12d | %10s | %10s | %10s | %10d | %10s | %5.0f MB", size, restore.Round(time.Millisecond), start.Round(time.Millisecond),
		reload.Round(time.Millisecond), writes, stop.Round(time.Millisecond), float64(used.Resident)/1e6)
}

// growthFile is a cluster file with so many real servers, the first of which has a weight.
func growthFile(size, weight int) string {
	var b strings.Builder
	b.WriteString(fileHeader(3, "1s", true, ""))
	b.WriteString("virtual_servers:\n")
	for v := range size / growthPool {
		fmt.Fprintf(&b, "  - {name: v%d, address: %s, port: %d, scheduler: wrr, forward: dr, initial_state: up, real_servers: [", v, vip, 10000+v)
		for r := range growthPool {
			at, its := v*growthPool+r, 1
			if at == 0 {
				its = weight
			}
			fmt.Fprintf(&b, "{name: s%d, address: 10.77.%d.%d, weight: %d}, ", at, 100+at/250, 1+at%250, its)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}
