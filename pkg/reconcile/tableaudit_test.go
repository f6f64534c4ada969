package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// large returns a table of which a complete read is due only every 10 s, with this as its first virtual server.
func large(first lvs.Service) []lvs.Service {
	all := []lvs.Service{first}
	for n := range 5000 {
		s := service("10.77.0.101")
		s.Port = uint16(1 + n)
		all = append(all, s)
	}
	return all
}

// A table whose fingerprint stays the same is not read, until the next complete read.
func TestAuditsOfAnUnchangedTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := large(service("10.77.0.100"))
		w := startTable(t, &fakeTable{}, want...)
		time.Sleep(readInterval(want) - auditMax)
		if n := w.audits.Load(); n != 1 {
			t.Errorf("%d reads of the table, want 1", n)
		}
		time.Sleep(readMax)
		if n := w.kernel.reads; n < 3 {
			t.Errorf("%d complete reads", n)
		}
		w.stop()
	})
}

// Whatever the table was at the last audit: after a change of ours, the table before it is a difference like any other.
func TestTableIsHealedBackToAnEarlierFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := large(service("10.77.0.100", "10.77.0.11")), large(service("10.77.0.100", "10.77.0.12"))
		w := startTable(t, &fakeTable{}, before...)
		time.Sleep(auditMax + time.Millisecond)
		w.wants(after...)
		time.Sleep(settle + time.Millisecond)
		same(t, "after the change", w.kernel.table(), after)
		w.kernel.put(before...)
		time.Sleep(auditMax + time.Millisecond)
		same(t, "after another process has changed it back", w.kernel.table(), after)
		if w.kernel.reads > 2 {
			t.Errorf("%d complete reads: not the audit found it", w.kernel.reads)
		}
		w.stop()
	})
}
