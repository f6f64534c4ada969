package clock

import (
	"testing"
	"time"
)

func TestSuspendedIsConstantWhileTheHostRuns(t *testing.T) {
	first := Suspended()
	for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
		if now := Suspended(); now < first || now > first+resolution {
			t.Fatalf("%s, before %s", now, first)
		}
	}
}
