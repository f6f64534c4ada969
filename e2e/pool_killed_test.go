package e2e

import (
	"errors"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestMachineKilled: a machine that is a real server loses its power while it has many connections, some of which are in use. It sends
// nothing any more, no FIN and no reset. Every client that sends has a reset within a second after the detection, and one that was idle
// with its next packet, by the packets at the clients; all of them can connect again. The clients of the other server go on.
//
// Proves docs/virtual-servers.md: "The next packet that a client sends on such a connection is answered with a reset"
// Proves docs/virtual-servers.md: "one that sends has its reset within a second after the entry was removed if the checks
// took up to a second for that"
func TestMachineKilled(t *testing.T) {
	lab.Need(t, lab.IPVS)
	idle, busy := 20, 10
	if lab.HasLongForm(t) {
		idle, busy = 1000, 100
	}
	for name, s := range map[string]shape{
		"without persistence": {},
		"with persistence":    {server: "persistence: {timeout: 300s}"},
	} {
		t.Run(name, func(t *testing.T) {
			s.advert, s.check = "100ms", "{type: tcp, interval: 200ms, timeout: 150ms, fall: 2, rise: 2}"
			c := newCluster(t, s)
			k := deadMachine{cluster: c, machine: c.mysql1, name: "mysql1", other: "mysql2", entry: rs1}
			one, two := c.answering()
			c.startAll()
			if measure.OpenConnections(c.client, vipPort, 2).Servers()["mysql1"] == 0 { // with persistence the client has one server
				k.machine, k.name, k.other, k.entry, one = c.mysql2, "mysql2", "mysql1", rs2, two
			}
			share := 1
			if s.server == "" {
				share = 2
			}
			held, used := measure.OpenConnections(c.client, vipPort, share*idle), keepBusy(measure.OpenConnections(c.client, vipPort, share*busy))
			defer used.stop()
			if held.Servers()[k.name] != idle || used.Servers()[k.name] != busy {
				t.Fatalf("of the connections that are idle, and of those in use, have: %v, %v", held.Servers(), used.Servers())
			}
			used.round()

			resets := capture.Start(c.client, "eth0", "tcp[tcpflags] & tcp-rst != 0 and src host "+vip)
			log := c.master.daemon.Mark()
			at := time.Now()
			k.machine.Link("eth0").CarrierDown()
			one.Kill()
			k.machine.daemon.Kill()
			out := c.master.awaitTableChange(log, k.entry, false)
			t.Logf("out of the table after %s", out.Sub(at))
			used.round()
			used.stop()
			k.lost("in use", used.Connections, busy)
			k.reset("in use", used.Connections, resets.Stop(), func([]capture.Packet) time.Time { return out })

			packets := capture.Start(c.client, "eth0", "tcp[tcpflags] & (tcp-push|tcp-rst) != 0 and host "+vip)
			held.Alive()
			k.lost("idle", held, idle)
			k.reset("idle", held, packets.Stop(), func(its []capture.Packet) time.Time { return its[0].Time })

			again := measure.OpenConnections(c.client, vipPort, idle+busy)
			alive(t, "connected again", again, map[string]int{k.other: idle + busy})
		})
	}
}

// deadMachine is one that was killed, and what clients notice of it.
type deadMachine struct {
	*cluster
	machine     *node
	name, other string
	entry       string
}

// lost checks that the connections to the machine, and no others, have ended with a reset.
func (k deadMachine) lost(which string, conns *measure.Connections, want int) {
	k.t.Helper()
	for server, causes := range conns.Errors() {
		for _, err := range causes {
			if server != k.name || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				k.t.Errorf("%s: a connection to %s ended: %v", which, server, err)
			}
		}
	}
	if got := len(conns.Errors()[k.name]); got != want {
		k.t.Errorf("%s: %d connections to %s have ended, want %d", which, got, k.name, want)
	}
}

var clientPort = regexp.MustCompile(` 10\.77\.0\.50\.(\d+)[: ]`)

// reset checks that the client of every connection to the machine was sent a reset within a second after a time, which is a function of
// the packets of the connection.
func (k deadMachine) reset(which string, conns *measure.Connections, packets []capture.Packet, since func([]capture.Packet) time.Time) {
	k.t.Helper()
	of := map[string][]capture.Packet{}
	for _, p := range packets {
		if words := clientPort.FindStringSubmatch(p.Text); words != nil {
			client := "10.77.0.50:" + words[1]
			of[client] = append(of[client], p)
		}
	}
	clients, latest := conns.ClientsOf(k.name), time.Duration(0)
	for _, client := range clients {
		resets := capture.Matching(of[client], ` 10\.77\.0\.100\.3306 > .*Flags \[R`)
		if len(resets) == 0 {
			k.t.Errorf("%s: no reset for %s: %v", which, client, of[client])
			continue
		}
		latest = max(latest, resets[0].Time.Sub(since(of[client])))
	}
	k.t.Logf("%s: resets for %d clients, the last one after %s", which, len(clients), latest)
	if latest > time.Second {
		k.t.Errorf("%s: a client had its reset after %s", which, latest)
	}
}
