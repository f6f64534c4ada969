package problem

import "testing"

// A problem that another one hides must not hide that a daemon is not ready.
func TestUnreadyIsNotHidden(t *testing.T) {
	r, count := Declared(), 0
	for _, d := range r.All() {
		if !d.Unready {
			continue
		}
		count++
		for _, by := range d.ExplainedBy {
			if !r.Unready(by) {
				t.Errorf("%s is not reported beside %s, with which a daemon is ready", d.Code, by)
			}
		}
	}
	if count < 5 || r.Unready("no_such_code") || r.Unready(VirtualServerDown) {
		t.Errorf("%d codes", count)
	}
}
