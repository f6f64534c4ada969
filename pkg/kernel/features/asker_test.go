package features

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestAsker: a file system that hangs holds up nobody for longer than the deadline and is asked once; when it answers again, so
// does the next question.
func TestAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		hangs := make(chan struct{})
		a := NewAsker(func(context.Context) kernel.Features {
			asked.Add(1)
			<-hangs
			return kernel.Features{Release: release}
		})
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			begun := time.Now()
			got := a.Features(ctx)
			cancel()
			if took := time.Since(begun); took != time.Second || !got.Incomplete || got.Find(kernel.FeatureSCTP).Has != kernel.Unknown {
				t.Errorf("after %s: %+v", took, got)
			}
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		close(hangs)
		synctest.Wait()
		if got := a.Features(t.Context()); got.Incomplete || got.Release != release || asked.Load() != 2 {
			t.Errorf("%+v, asked %d times", got, asked.Load())
		}
	})
}
