package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/ipvs"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const (
	// growthPool is the number of real servers of each virtual server in TestBenchTable.
	growthPool = 20
	// growthPatience is for one step of a program with 32 000 real servers.
	growthPatience = 10 * time.Minute
)

// growthSizes returns the numbers of real servers to measure with: those of LVS_BENCH_SERVERS, or some.
func growthSizes(t *testing.T) []int {
	text := os.Getenv("LVS_BENCH_SERVERS")
	if text == "" {
		text = "100 1000 3200 10000 20000"
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

// TestBenchTable: how the time for a start, a reload of one weight and a stop grows with the number of real servers is printed, of
// lvs-director and of keepalived, one after the other, and the time in which ipvsadm -R makes the same table.
// LVS_BENCH_SERVERS="100 32000" has other numbers. `make bench-table` runs it, and plots what it prints.
//
// Proves docs/performance.md: "`make bench-table` prints how these times grow"
func TestBenchTable(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Bench(t)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%12s | %-12s | %10s | %10s | %10s | %10s | %8s", "real servers", "program", "start", "programming", "reload", "stop", "RSS")
	for _, size := range growthSizes(t) {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			host, rules := growthOfDirector(t, size, &b)
			growthOfIpvsadm(t, size, &b, host, rules)
			growthOfKeepalived(t, size, &b)
		})
	}
	t.Log(b.String())
}

// growth is what was measured of one program; 0 is not measured.
type growth struct {
	start, programming, reload, stop time.Duration
	resident                         int
}

func (g growth) print(b *strings.Builder, size int, program string) {
	text := func(d time.Duration) string {
		if d == 0 {
			return "-"
		}
		return fmt.Sprintf("%.3f s", d.Seconds())
	}
	resident := "-"
	if g.resident > 0 {
		resident = fmt.Sprintf("%.0f MB", float64(g.resident)/1e6)
	}
	fmt.Fprintf(b, "\n%12d | %-12s | %10s | %10s | %10s | %10s | %8s", size, program, text(g.start), text(g.programming), text(g.reload), text(g.stop), resident)
}

// growthTable watches the table of a host by asking for single virtual servers, which costs little however large it is.
type growthTable struct {
	t    *testing.T
	host *lab.Host
	size int
	ask  *ipvs.Handle
}

func watchGrowth(t *testing.T, host *lab.Host, size int) growthTable {
	t.Helper()
	w := growthTable{t: t, host: host, size: size}
	if err := host.InNetwork(func() (err error) {
		w.ask, err = ipvs.New("")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.ask.Close)
	return w
}

// servers returns the real servers of the virtual server with this number; none if it is not there.
func (w growthTable) servers(number int) []*ipvs.Destination {
	found, err := w.ask.GetDestinations(&ipvs.Service{
		AddressFamily: unix.AF_INET, Protocol: unix.IPPROTO_TCP, Address: w.address(), Port: uint16(10000 + number), SchedName: "wrr",
	})
	if err != nil {
		return nil
	}
	return found
}

func (growthTable) address() []byte { return []byte{10, 77, 0, 100} }

// until waits until the virtual server is as it should be.
func (w growthTable) until(number int, what string, is func([]*ipvs.Destination) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(growthPatience); !is(w.servers(number)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %s: virtual server %d is not %s", growthPatience, number, what)
		}
	}
}

// filled waits until the table is complete, and returns when its first and its last real server were there.
func (w growthTable) filled() (first, last time.Time) {
	w.t.Helper()
	w.until(0, "there", func(d []*ipvs.Destination) bool { return len(d) > 0 })
	first = time.Now()
	w.until(w.size/growthPool-1, "complete", func(d []*ipvs.Destination) bool { return len(d) == growthPool })
	lab.Eventually(w.t, growthPatience, func() error {
		last = time.Now()
		if got := w.entries(); got != w.size {
			return fmt.Errorf("the table has %d real servers, want %d", got, w.size)
		}
		return nil
	})
	return first, last
}

func (w growthTable) entries() int {
	return strings.Count(w.host.ReadFile("/proc/thread-self/net/ip_vs"), "\n  -> ") - 1
}

// weighed waits until a real server of the first virtual server has this weight.
func (w growthTable) weighed(weight int) {
	w.t.Helper()
	w.until(0, fmt.Sprintf("with a weight of %d", weight), func(all []*ipvs.Destination) bool {
		for _, d := range all {
			if d.Weight == weight {
				return true
			}
		}
		return false
	})
}

// resident is the resident memory of all processes of the host.
func (w growthTable) resident() (sum int) {
	w.t.Helper()
	for _, pid := range w.host.Processes() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			var kilobytes int
			if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
				sum += kilobytes * 1024
			}
		}
	}
	return sum
}

// growthOfDirector is one life of a director. It returns its host, without its table, and the rules of that.
func growthOfDirector(t *testing.T, size int, b *strings.Builder) (host *lab.Host, rules string) {
	t.Helper()
	net := lab.New(t)
	host = net.Host("lvs-master", net.Bridge("lan").At("10.77.0.2/24"))
	n := newNode(t, host, "lvs-director", net.File("cluster.yaml", growthFile(size, 3)))
	w := watchGrowth(t, host, size)
	var g growth
	begun := time.Now()
	n.start()
	first, last := w.filled()
	g.start, g.programming = last.Sub(begun), last.Sub(first)
	n.daemon.WaitLog("to=MASTER", growthPatience)
	rules = net.File("table.rules", host.Run("ipvsadm", "-Sn"))
	net.File("cluster.yaml", growthFile(size, 4))
	mark := n.daemon.Mark()
	begun = time.Now()
	n.daemon.Signal(syscall.SIGHUP)
	w.weighed(4)
	g.reload = time.Since(begun)
	mark.WaitLog("msg=reloaded", growthPatience)
	if writes := strings.Count(mark.Log(), "msg=table"); writes != 1 {
		t.Errorf("the reload of one weight made %d writes, want 1:\n%s", writes, mark.Log())
	}
	g.resident = w.resident()
	begun = time.Now()
	n.daemon.Signal(syscall.SIGTERM)
	code := n.daemon.Wait(growthPatience)
	g.stop = time.Since(begun)
	if code != 0 || w.entries() > 0 {
		t.Errorf("exit code %d, and there are %d real servers", code, w.entries())
	}
	g.print(b, size, "lvs-director")
	return host, rules
}

// growthOfIpvsadm makes the table by ipvsadm -R, changes a weight and clears it.
func growthOfIpvsadm(t *testing.T, size int, b *strings.Builder, host *lab.Host, rules string) {
	t.Helper()
	w := watchGrowth(t, host, size)
	var g growth
	step := func(took *time.Duration, command string) {
		begun := time.Now()
		d := host.Start("ipvsadm", "sh", "-c", command)
		if code := d.Wait(growthPatience); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", command, code, d.Log())
		}
		*took = time.Since(begun)
	}
	step(&g.start, "ipvsadm -R <"+rules)
	if got := w.entries(); got != size {
		t.Errorf("ipvsadm -R made %d real servers, want %d", got, size)
	}
	step(&g.reload, "ipvsadm -e -t "+vip+":10000 -r 10.77.100.1:10000 -g -w 5")
	step(&g.stop, "ipvsadm -C")
	g.print(b, size, "ipvsadm")
}

// growthOfKeepalived is one life of keepalived with the same VIP and table.
func growthOfKeepalived(t *testing.T, size int, b *strings.Builder) {
	t.Helper()
	net := lab.New(t)
	host := net.Host("lvs-master", net.Bridge("lan").At("10.77.0.2/24"))
	w := watchGrowth(t, host, size)
	var g growth
	begun := time.Now()
	d := lab.StartKeepalived(host, growthConf(size, 3))
	first, last := w.filled()
	g.start, g.programming = last.Sub(begun), last.Sub(first)
	d.WaitLog("Entering MASTER STATE", growthPatience)
	net.File(host.Name+"-keepalived.conf", growthConf(size, 4))
	begun = time.Now()
	d.Signal(syscall.SIGHUP)
	w.weighed(4)
	g.reload = time.Since(begun)
	g.resident = w.resident()
	begun = time.Now()
	d.Signal(syscall.SIGTERM)
	code := d.Wait(growthPatience)
	g.stop = time.Since(begun)
	t.Logf("keepalived with %d real servers: exit code %d, and %d real servers are left", size, code, w.entries())
	g.print(b, size, "keepalived")
}

// growthAddress is the address of a real server, by its number.
func growthAddress(number int) string {
	return fmt.Sprintf("10.77.%d.%d", 100+number/250, 1+number%250)
}

// growthWeight is the weight of a real server, of which that of the first one is given.
func growthWeight(number, first int) int {
	if number == 0 {
		return first
	}
	return 1
}

// growthFile is a cluster file with so many real servers, the first of which has a weight.
func growthFile(size, weight int) string {
	var b strings.Builder
	b.WriteString(fileHeader(3, "1s", true, ""))
	b.WriteString("virtual_servers:\n")
	for v := range size / growthPool {
		fmt.Fprintf(&b, "  - {name: v%d, address: %s, port: %d, scheduler: wrr, forward: dr, initial_state: up, real_servers: [", v, vip, 10000+v)
		for r := range growthPool {
			at := v*growthPool + r
			fmt.Fprintf(&b, "{name: s%d, address: %s, weight: %d}, ", at, growthAddress(at), growthWeight(at, weight))
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// growthConf is the same for keepalived.
func growthConf(size, weight int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "vrrp_instance mysql {\n state BACKUP\n interface eth0\n virtual_router_id 51\n version 3\n priority 150\n advert_int 1\n virtual_ipaddress {\n  %s/32\n }\n}\n", vip)
	for v := range size / growthPool {
		fmt.Fprintf(&b, "virtual_server %s %d {\n lvs_sched wrr\n lvs_method DR\n protocol TCP\n", vip, 10000+v)
		for r := range growthPool {
			at := v*growthPool + r
			fmt.Fprintf(&b, " real_server %s %d {\n  weight %d\n }\n", growthAddress(at), 10000+v, growthWeight(at, weight))
		}
		b.WriteString("}\n")
	}
	return b.String()
}
