package election

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestRecordReplays: the record of an instance, replayed by a new machine, gives the same actions and states, also
// after the oldest events have been dropped.
func TestRecordReplays(t *testing.T) {
	for _, tt := range []struct {
		name string
		runs time.Duration
		from string // how the record begins
	}{
		{"from the start", 10 * time.Second, "params vrid=51"},
		{"the last events only", 2 * MaxRecorded * time.Second, "machine {"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN()
				a, b := l.join(t, "a", "10.77.0.2", 150), l.join(t, "b", "10.77.0.3", 100)
				time.Sleep(tt.runs)
				b.Tell(vrrp.NotReady{Reason: "no check has found a real server"})
				a.Tell(vrrp.Faulted{Reason: "eth0 has \"no\" carrier"})
				time.Sleep(5 * time.Second)
				a.Tell(vrrp.Recover{})
				time.Sleep(5 * time.Second)
				a.stop()
				time.Sleep(5 * time.Second)
				for _, m := range []*machine{a, b} {
					record := m.Record()
					if !strings.HasPrefix(record, tt.from) || !strings.Contains(record, "transition from=") {
						t.Errorf("%s begins with %.60s", m.who, record)
					}
					replay, err := vrrp.ParseTrace(record)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(record, replay.String()); diff != "" {
						t.Errorf("%s (-recorded +replayed):\n%s", m.who, diff)
					}
					if n := len(replay.Entries()); n > MaxRecorded {
						t.Errorf("%d events are recorded, want at most %d", n, MaxRecorded)
					}
				}
				b.stop()
			})
		})
	}
}
