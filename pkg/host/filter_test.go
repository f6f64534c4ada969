package host

import "testing"

// TestTablesToRemove: what this process has put is removed, also where it is not known that the kernel has nf_tables.
func TestTablesToRemove(t *testing.T) {
	for _, c := range []struct{ put, known, none bool }{
		{false, false, true}, {false, true, false}, {true, false, false}, {true, true, false},
	} {
		var mine tables
		if c.put {
			mine.putting()
		}
		if got := mine.none(func() bool { return c.known }); got != c.none {
			t.Errorf("%+v: %t", c, got)
		}
	}
}
