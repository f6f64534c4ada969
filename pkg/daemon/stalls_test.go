package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// TestStalls: a loop that is busy for less than the limit has not stalled, and one that hangs has until it goes on; the answer
// waits for nothing.
func TestStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loops heartbeat.Set
		s := new(stalls)
		if n, stalled := s.live(); n != 0 || stalled != nil {
			t.Errorf("before the first look: %d, %q", n, stalled)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.run(ctx, &loops) }()
		a, b := loops.Start("a"), loops.Start("b")
		for _, tt := range []struct {
			after   time.Duration // without a heartbeat of a
			stalled []string
		}{
			{time.Second, nil},
			{10 * time.Second, nil}, // a pass over a large table
			{heartbeat.StalledAfter - 2*heartbeat.Every, nil},
			{heartbeat.StalledAfter + 2*heartbeat.Every, []string{"a"}},
			{time.Second, nil},
		} {
			a.Beat()
			for range int(tt.after / heartbeat.Every) {
				time.Sleep(heartbeat.Every)
				b.Beat()
				synctest.Wait()
			}
			asked := time.Now()
			if n, stalled := s.live(); n != 2 || !slices.Equal(stalled, tt.stalled) || time.Since(asked) > 0 {
				t.Errorf("after %s: %d loops, stalled: %q, want %q", tt.after, n, stalled, tt.stalled)
			}
		}
		stop()
		<-done
	})
}
