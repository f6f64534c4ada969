package health_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/health"
)

func TestDebounce(t *testing.T) {
	d := health.NewDebounce(3*time.Second, 2*time.Second)
	if _, known := d.Up(); known {
		t.Error("it has a state from the start")
	}
	for _, one := range []struct {
		second int
		up     bool
		want   bool
		due    int // 0: not
	}{
		{1, true, true, 0}, // the first one counts at once
		{2, false, true, 4},
		{3, true, true, 0}, // not long enough
		{4, false, true, 6},
		{5, false, true, 6},
		{6, false, false, 0},
		{7, true, false, 10},
		{9, true, false, 10},
		{12, true, true, 0},
	} {
		d = d.Step(at(one.second), one.up)
		up, known := d.Up()
		due, pending := d.Due()
		if up != one.want || !known || pending != (one.due != 0) || pending && !due.Equal(at(one.due)) {
			t.Errorf("at %d: up %t, due %v (%t)", one.second, up, due, pending)
		}
	}
}

// TestDebounceProperties: without delays it follows at once; with delays it never changes to what has not lasted for the
// delay, and always to what has.
func TestDebounceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delay := rapid.SliceOfN(rapid.IntRange(0, 5), 2, 2).Draw(t, "delays")
		d := health.NewDebounce(time.Duration(delay[0])*time.Second, time.Duration(delay[1])*time.Second)
		var history []bool
		second := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			second++
			history = append(history, rapid.Bool().Draw(t, "up"))
			d = d.Step(at(second), history[len(history)-1])
			got, _ := d.Up()
			now := history[len(history)-1]
			lasted := 0
			for n := len(history) - 1; n >= 0 && history[n] == now; n-- {
				lasted = len(history) - 1 - n
			}
			need := delay[1]
			if now {
				need = delay[0]
			}
			if lasted >= need && got != now {
				t.Fatalf("%v: has lasted for %d s of %d, but does not count", history, lasted, need)
			}
			if got == now && lasted < need && lasted+1 < len(history) && second > 1 {
				d2, _ := health.NewDebounce(time.Duration(delay[0])*time.Second, time.Duration(delay[1])*time.Second), 0
				for n := range history[:len(history)-1-lasted] {
					d2 = d2.Step(at(n+1), history[n])
				}
				if before, _ := d2.Up(); before != now {
					t.Fatalf("%v: counts after %d s of %d", history, lasted, need)
				}
			}
		}
	})
}
