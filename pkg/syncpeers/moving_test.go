package syncpeers

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// states lists the connections as established.
func (h *host) states(ctx context.Context, each func(c lvs.Connection, state string)) error {
	if h.listing != nil {
		return h.listing(ctx, each)
	}
	return h.connections(ctx, func(c lvs.Connection) { each(c, "ESTABLISHED") })
}

// opens adds connections to the table of a host, which is MASTER.
func (h *host) opensAll(from, to int) {
	h.set(func() {
		for n := from; n < to; n++ {
			h.table[client(n)] = true
		}
	})
}

// TestGiveWay: what no look at the connections of five seconds ago has seen is sent at once when an instance gives way, and
// what comes meanwhile a moment later; the rest is not, and nothing of another instance.
func TestGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		master, standby := l.host("10.77.0.2"), l.host("10.77.0.3")
		master.held = true
		master.opensAll(0, 100)
		defer master.start(&log)()
		defer standby.start(&log)()
		time.Sleep(30 * time.Second)
		standby.set(func() { clear(standby.table) })
		master.opensAll(100, 200)
		has := func() int {
			synctest.Wait()
			standby.mu.Lock()
			defer standby.mu.Unlock()
			return len(standby.table)
		}
		master.loop.GiveWay("another")
		master.loop.AwaitGiven(t.Context())
		if n := has(); n != 0 {
			t.Errorf("%d connections of another instance were sent", n)
		}
		master.loop.GiveWay("")
		if n := has(); n != 100 {
			t.Errorf("%d connections were sent at once, want 100", n)
		}
		master.opensAll(200, 201)
		begun := time.Now()
		master.loop.AwaitGiven(t.Context())
		if n, took := has(), time.Since(begun); n != 101 || took != moveAgain {
			t.Errorf("%d connections had been sent after %s", n, took)
		}
		if text := log.String(); !strings.Contains(text, "virtual addresses that move\" connections=100") || !strings.Contains(text, "virtual addresses that move\" connections=1 ") {
			t.Errorf("log:\n%s", text)
		}
		standby.loop.AwaitGiven(t.Context()) // of one that gives nothing
	})
}

// TestSlowClose: nobody waits for the state of the loop while its socket is being closed.
func TestSlowClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		one := (&lan{}).host("10.77.0.2")
		one.leaves = make(chan struct{})
		stop := one.start(&log)
		time.Sleep(time.Second)
		ended := make(chan struct{})
		go func() { stop(); close(ended) }()
		synctest.Wait()
		if one.loop.mu.TryLock() {
			one.loop.mu.Unlock()
		} else {
			t.Error("the loop is locked while its socket is being closed")
		}
		close(one.leaves)
		<-ended
	})
}

// TestGiveWayHangs: a kernel that does not answer at all delays neither a stop nor what gives way later; it is asked once, and sends
// nothing when it answers after all.
func TestGiveWayHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		master, standby := l.host("10.77.0.2"), l.host("10.77.0.3")
		master.held = true
		defer standby.start(&log)()
		answers := make(chan struct{})
		var asked atomic.Int32
		master.listing = func(_ context.Context, each func(c lvs.Connection, state string)) error {
			asked.Add(1)
			<-answers
			each(client(1), "ESTABLISHED")
			return nil
		}
		stop := master.start(&log)
		time.Sleep(time.Second)
		for range 2 {
			begun := time.Now()
			master.loop.GiveWay("")
			master.loop.AwaitGiven(t.Context())
			if took := time.Since(begun); took > moveHangs || asked.Load() != 1 {
				t.Errorf("after %s, asked %d times", took, asked.Load())
			}
		}
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > 0 {
			t.Errorf("the stop took %s", took)
		}
		close(answers)
		synctest.Wait()
		if standby.mu.Lock(); len(standby.table) > 0 {
			t.Error("a connection was sent after the end")
		}
		standby.mu.Unlock()
		if text := log.String(); !strings.Contains(text, "the kernel does not answer") || !strings.Contains(text, "has not answered since") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestGiveWayFails: a kernel that takes too long to list its connections, or fails to, delays nobody for longer than two seconds, and
// that is logged. Many connections are limited.
func TestGiveWayFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		master := l.host("10.77.0.2")
		master.held = true
		master.opensAll(0, 10)
		defer master.start(&log)()
		time.Sleep(time.Second)
		for want, f := range map[string]func(){
			"takes longer than 1s": func() { master.slow = time.Hour },
			"broken list":          func() { master.slow, master.unread = 0, errors.New("broken list") },
		} {
			master.set(f)
			begun := time.Now()
			master.loop.GiveWay("")
			master.loop.AwaitGiven(t.Context())
			if took := time.Since(begun); took > 2*moveWithin+moveAgain || !strings.Contains(log.String(), want) {
				t.Errorf("%s: after %s:\n%s", want, took, log.String())
			}
		}
		m := moving{loop: master.loop, told: map[lvs.Connection]string{}, known: map[lvs.Connection]Served{}}
		m.of = map[config.InstanceID]bool{"": true}
		for n := range connsync.MostMoving + 10 {
			c := client(n)
			c.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 5)
			m.add(c, "FIN_WAIT", time.Now(), master.ask())
			m.add(c, "SYN_RECV", time.Now(), master.ask())
		}
		if len(m.batch) != connsync.MostMoving || len(m.closing) != connsync.MostClosing {
			t.Errorf("%d and %d connections", len(m.batch), len(m.closing))
		}
	})
}
