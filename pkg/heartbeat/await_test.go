package heartbeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAwait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		during func(a, b *Signal) // 500 ms after the question
		silent []string
		took   time.Duration
	}{
		{"both answer", func(a, b *Signal) { a.Beat(); b.Beat() }, nil, 500 * time.Millisecond},
		{"one is silent", func(a, _ *Signal) { a.Beat() }, []string{"b"}, 3 * time.Second},
		{"one has ended", func(a, b *Signal) { a.Beat(); b.Stop() }, nil, 500 * time.Millisecond},
		{"none answers", func(_, _ *Signal) {}, []string{"a", "b"}, 3 * time.Second},
		{"one starts meanwhile", func(a, b *Signal) { a.Beat(); b.Beat(); a.set.Start("c") }, nil, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s Set
				a, b := s.Start("a"), s.Start("b")
				a.Beat() // before the question: does not count
				b.Beat()
				time.AfterFunc(500*time.Millisecond, func() { tt.during(a, b) })
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begun := time.Now()
				loops, silent := s.Await(ctx)
				if diff := cmp.Diff(tt.silent, silent); diff != "" || loops != 2 {
					t.Errorf("%d loops; silent (-want +got):\n%s", loops, diff)
				}
				if took := time.Since(begun); took < tt.took || took > tt.took+lookEvery {
					t.Errorf("took %s, want %s", took, tt.took)
				}
			})
		})
	}
	var none *Set
	if loops, silent := none.Await(t.Context()); loops != 0 || silent != nil {
		t.Errorf("without a set: %d, %v", loops, silent)
	}
}
