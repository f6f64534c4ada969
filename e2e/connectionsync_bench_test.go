package e2e

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// learn makes the kernels of both directors learn so many connections to the VIP, as from a director of their cluster.
func (c *cluster) learn(count int) {
	c.t.Helper()
	const inOne = 40
	err := c.client.InNetwork(func() error {
		conn, err := net.Dial("udp4", "224.0.0.81:8848")
		if err != nil {
			return err
		}
		defer conn.Close()
		for n := 0; n < count; n += inOne {
			m := syncmsg.Message{ID: 51}
			for i := n; i < min(n+inOne, count); i++ {
				client := netip.AddrFrom4([4]byte{10, 80, byte(i >> 16), byte(i >> 8)})
				m.Connections = append(m.Connections, syncmsg.Connection{
					Protocol: syncmsg.TCP, Client: netip.AddrPortFrom(client, uint16(1024+i&0xff)), Virtual: netip.MustParseAddrPort(vipPort),
					Server: netip.MustParseAddrPort("10.77.0.11:3306"), Flags: syncmsg.ForwardDR | syncmsg.FlagNoOutput, State: syncmsg.StateEstablished,
				})
			}
			b, err := m.Append(nil)
			if err != nil {
				return err
			}
			if _, err := conn.Write(b); err != nil {
				return err
			}
			if n/inOne%4 == 3 {
				time.Sleep(10 * time.Millisecond) // so that they fit into the receivers' buffers
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// active is the number of open connections of a virtual server, which the kernel counts.
func active(n *node) (total int) {
	for line := range strings.Lines(n.Run("ipvsadm", "-Ln")) {
		if f := strings.Fields(line); len(f) == 6 && f[0] == "->" {
			count, _ := strconv.Atoi(f[4])
			total += count
		}
	}
	return total
}

// TestBenchConnections: what the exchange of many connections costs both directors, and that adverts are not delayed by it, is
// printed. LVS_BENCH_CONNECTIONS is their number. `make bench-connections` runs it.
//
// Proves docs/performance.md: "`make bench-connections` prints what many connections cost a pair of directors."
func TestBenchConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	most, err := strconv.Atoi(cmp.Or(os.Getenv("LVS_BENCH_CONNECTIONS"), "100000"))
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, shape{advert: "100ms", more: "connection_sync: {}"})
	c.client.Run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
	c.answering()
	c.startAll()
	for _, count := range []int{0, most / 10, most} {
		lab.Eventually(t, 10*time.Minute, func() error {
			a, b := active(c.master), active(c.backup)
			if a >= count && b >= count {
				return nil
			}
			c.learn(count) // again, if messages were lost
			return fmt.Errorf("%d and %d of %d", a, b, count)
		})
		var read [2]float64
		for i, n := range []*node{c.master, c.backup} {
			before := time.Now()
			lab.Eventually(t, 25*time.Minute, func() error {
				if s := n.status().ConnectionSync; s.ReadAt == nil || s.ReadAt.Before(before) || s.Held+s.Learned < count {
					return fmt.Errorf("%s: %+v", n.Name, s)
				}
				return nil
			})
			read[i] = n.status().ConnectionSync.ReadingSeconds
		}
		adverts := capture.Start(c.backup.Host, "eth0", "ip proto 112 and src host 10.77.0.2")
		before := [2]lab.Usage{c.master.daemon.Usage(), c.backup.daemon.Usage()}
		time.Sleep(max(20*time.Second, time.Duration(7*read[0]*float64(time.Second))))
		for i, n := range []*node{c.master, c.backup} {
			after := n.daemon.Usage()
			s := n.status().ConnectionSync
			t.Logf("%7d connections, %s: reading %.3f s, %.2f %% of a CPU, %.1f MB, lacking %d, warm %t", count, n.Name, read[i],
				100*float64(after.CPU-before[i].CPU)/float64(after.At.Sub(before[i].At)), float64(after.Resident)/1e6, s.Lacking, s.Warm)
		}
		t.Logf("%7d connections: longest time between adverts %s", count, advertPause(adverts.Stop()))
	}
	if strings.Contains(c.backup.daemon.Log(), "to=MASTER") {
		t.Error("the BACKUP took over")
	}
}

// advertPause is the longest time between two packets.
func advertPause(packets []capture.Packet) (longest time.Duration) {
	for i := 1; i < len(packets); i++ {
		longest = max(longest, packets[i].Time.Sub(packets[i-1].Time))
	}
	return longest
}
