package event

import (
	"testing"
	"time"
)

func TestWall(t *testing.T) {
	boot, set := time.Date(1970, 1, 1, 0, 0, 20, 500, time.UTC), time.Date(2026, 11, 29, 2, 0, 0, 300, time.UTC)
	for _, tt := range []struct {
		what    string
		at, now time.Time
		passed  time.Duration
		want    time.Time
	}{
		{"no step", set, set.Add(90 * time.Second), 90 * time.Second, set},
		{"slewed by NTP", set, set.Add(90 * time.Second), 90*time.Second + 700*time.Millisecond, set},
		{"set forwards at boot", boot, set, 30 * time.Second, time.Date(2026, 11, 29, 1, 59, 30, 0, time.UTC)},
		{"set backwards", set.Add(time.Hour), set, 10 * time.Second, time.Date(2026, 11, 29, 1, 59, 50, 0, time.UTC)},
	} {
		if got := wall(tt.at, tt.passed, tt.now); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	if got := Wall(time.Time{}, time.Now()); !got.IsZero() {
		t.Errorf("never: %s", got)
	}
	if now := time.Now(); !Wall(now, now).Equal(now) {
		t.Error("now")
	}
}
