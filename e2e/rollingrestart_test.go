package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestRollingRestart: both directors are restarted, one after the other, while a client opens a connection every 5 ms and others
// are held open. No connection fails or breaks: the MASTER that stops hands over, and one that is preempted keeps its VIPs until
// the better one has announced them.
//
// Proves docs/failover.md: "With connection synchronization, a restart of both directors, one after the other, costs no
// connection, whatever `preempt` says, except that with `nat` one that is being opened in the moment of a move"
func TestRollingRestart(t *testing.T) {
	lab.Need(t, lab.IPVS)
	methods, preempts, count := []string{"dr"}, []bool{true}, 20
	if lab.HasLongForm(t) {
		methods, preempts, count = []string{"dr", "nat", "tun"}, []bool{true, false}, 200
	}
	for _, forward := range methods {
		for _, preempt := range preempts {
			t.Run(fmt.Sprintf("%s/preempt=%t", forward, preempt), func(t *testing.T) {
				rollingRestart(t, heldPairs[forward](t, preempt), preempt, count)
			})
		}
	}
}

func rollingRestart(t *testing.T, p heldPair, preempt bool, count int) {
	p.master.start()
	p.await(p.master)
	p.backup.start()
	p.backup.awaitReady()
	idle := measure.OpenConnections(p.client, vipPort, count/2)
	busy := measure.OpenConnections(p.client, vipPort, count/2)
	p.backup.awaitLearned(count)
	synsTo := capture.Start(p.client, "eth0", "dst host "+vip+" and tcp[tcpflags] = tcp-syn")
	moved := watchMoves(t, p.client, p.master, p.backup)
	client := measure.Start(p.client, vipPort, patient)
	client.WaitAnswered("", soon)
	watches := []*vipWatch{p.master.watchVIP(), p.backup.watchVIP()}
	begun := time.Now()

	p.master.restart()
	if preempt {
		p.await(p.master)
	} else {
		p.await(p.backup)
	}
	p.master.awaitReady()
	aliveAll(t, "lvs-master was restarted", count/2, busy)
	p.backup.restart()
	p.await(p.master)
	client.WaitAnswered("", soon)

	result := client.Stop().Since(begun)
	if t.Log(result); !p.losesOpening { // a gap may be the start of a daemon, which takes the CPU of all hosts
		moved.check(result)
	}
	aliveAll(t, "both were restarted", count/2, idle, busy)
	if both := overlap(watches[0], watches[1]); both > time.Second {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	directors := map[string]string{p.master.mac(): p.master.Name, p.backup.mac(): p.backup.Name}
	served := slices.Compact(receivers(synsTo.Stop(), directors))
	t.Logf("the connections were opened to %s", strings.Join(served, ", then "))
	if len(served) < 3 || !slices.Contains(served, p.backup.Name) || served[len(served)-1] != p.master.Name {
		t.Errorf("the connections were opened to %v", served)
	}
}

// restart stops and starts a director.
func (n *node) restart() {
	n.t.Helper()
	if code := n.daemon.Stop(); code != 0 {
		n.t.Errorf("%s exited with %d", n.Name, code)
	}
	n.start()
}

// awaitReady waits until a director can take over: its servers are in the table, and it is warm.
func (n *node) awaitReady() {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if servers := n.table().Service(vipPort).Servers; len(servers) != 2 {
			return fmt.Errorf("%s has %d real servers", n.Name, len(servers))
		}
		return nil
	})
	n.awaitWarm()
}

// awaitLearned waits until a director that is BACKUP has learned so many connections, and lacks none.
func (n *node) awaitLearned(count int) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if s := n.status().ConnectionSync; s == nil || s.Learned != count || s.Lacking != 0 || !s.Warm {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// aliveAll checks that all connections are answered.
func aliveAll(t *testing.T, when string, count int, all ...*measure.Connections) {
	t.Helper()
	for _, conns := range all {
		if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count {
			t.Errorf("%s: %v of %d connections are alive: %v", when, alive, count, conns.Errors())
		}
	}
}

// receivers returns to whom packets were sent, by the name of their hardware address.
func receivers(packets []capture.Packet, names map[string]string) (all []string) {
	for _, p := range packets {
		_, to, _ := strings.Cut(p.Text, " > ")
		to, _, _ = strings.Cut(to, ",")
		if name := names[to]; name != "" {
			to = name
		}
		all = append(all, to)
	}
	return all
}
