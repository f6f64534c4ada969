package reconcile

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// audit clears have if a cheap read differs from it or a complete read is due, so that the next pass reads the table.
func (t *Table) audit() {
	t.audited = time.Now()
	if t.have == nil {
		return
	}
	if time.Since(t.read) >= readInterval(t.have) {
		t.have = nil
		return
	}
	print, err := t.Fingerprint()
	if err == nil && print == t.print && print != 0 {
		return
	}
	t.print = 0
	seen, err := t.Audit()
	switch {
	case err != nil:
		t.have = nil
	case sameTable(t.have, seen), t.shown != nil && lvs.Equal(t.shown, seen):
		if again, err := t.Fingerprint(); err == nil && again == print { // otherwise it may be that of another table
			t.print = print
		}
	default:
		t.doubted, t.have = &doubt{presumed: t.have, seen: seen}, nil
	}
}

// doubt is a cheap read that differed from the presumed table.
type doubt struct{ presumed, seen []lvs.Service }

// settleDoubt remembers what the cheap read says if it differs from a table that has not changed: it does not know the
// family of an empty service by firewall mark, and omits entries if several network namespaces have large tables. Without
// that every audit would cause a complete read.
func (t *Table) settleDoubt(have []lvs.Service) {
	d := t.doubted
	t.doubted = nil
	if d == nil {
		return
	}
	t.shown = nil
	if !sameTable(d.presumed, have) {
		return
	}
	if again, err := t.Audit(); err == nil && lvs.Equal(again, d.seen) { // otherwise the table has changed and back
		t.shown = again
	}
}

// sameTable reports whether b needs no change to become a, as far as a cheap read shows. Equal alone is cheaper, but sees a
// different order, which the kernel has after each change.
func sameTable(a, b []lvs.Service) bool {
	a, b = lvs.Shown(a), lvs.Shown(b)
	return lvs.Equal(a, b) || len(lvs.Diff(a, b, func(lvs.Key) bool { return true })) == 0
}

// auditInterval is the interval between audits of a table, readInterval that between complete reads.
func auditInterval(table []lvs.Service) time.Duration {
	return min(auditEvery+time.Duration(entries(table))*auditPer, auditMax)
}

func readInterval(table []lvs.Service) time.Duration {
	return min(max(readMin, time.Duration(entries(table))*readPer), readMax)
}

func entries(table []lvs.Service) int {
	n := len(table)
	for _, service := range table {
		n += len(service.Servers)
	}
	return n
}
