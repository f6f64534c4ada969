package syncpeers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/logtest"
)

// TestOneDaemon: directors that run one daemon each. The one that cannot learn is not cold, lacks nothing, and is sent nothing
// although the other one holds connections that it does not have.
func TestOneDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		sender, second := l.host("10.77.0.2"), l.host("10.77.0.3")
		sender.held, sender.follows = true, true
		second.held, second.follows = true, true
		for n := range 10 {
			second.table[client(n)] = true
		}
		defer sender.start(&log)()
		defer second.start(&log)()
		time.Sleep(time.Minute)
		for _, h := range l.hosts {
			if s := h.loop.Snapshot(); s.Cold || s.Lacking != 0 {
				t.Errorf("%s runs only the daemon that sends: %+v", h.at, s)
			}
		}
		second.set(func() { second.held, second.other = false, true }) // it runs only the daemon that learns
		time.Sleep(5 * time.Second)                                    // what was held is no longer told
		sent := second.loop.Snapshot().Again
		time.Sleep(time.Minute)
		s, p := second.loop.Snapshot(), sender.loop.Snapshot().Peers[second.at]
		if s.Held != 10 || s.Again != sent || s.Peers[sender.at].Lacking != 0 {
			t.Errorf("it sends nothing: %+v", s)
		}
		if p.Note.Master || p.Note.Held.Total() != 0 {
			t.Errorf("it tells of connections that it does not send: %+v", p.Note)
		}
	})
}
