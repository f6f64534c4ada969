package election

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestHearing: it asks every 250 ms for a minute, then every second, until another machine is heard. Where that cannot be found
// out nobody waits, but a missing interface is waited for. If the link has come up once more meanwhile, it listens again.
func TestHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		l := NewLink(eth0, nil, slog.New(slog.NewTextHandler(&out, nil)))
		if l.Listening() || !l.Listen() || !l.Listening() || l.Listen() {
			t.Error("a link listens once")
		}
		asked := map[time.Duration]int{}
		answers := func(after time.Duration, err error) Hear {
			begun := time.Now()
			return func(ctx context.Context, every time.Duration) error {
				asked[every]++
				if time.Since(begun) < after {
					<-ctx.Done()
					return ctx.Err()
				}
				return err
			}
		}
		run := func(h Hear) time.Duration {
			t.Helper()
			begun := time.Now()
			if err := NewHearing(l, h).Run(t.Context()); err != nil {
				t.Error(err)
			}
			return time.Since(begun)
		}
		if took := run(answers(90*time.Second, nil)); took != 90*time.Second || l.Listening() {
			t.Errorf("it took %s", took)
		}
		if diff := cmp.Diff(map[time.Duration]int{250 * time.Millisecond: 60, time.Second: 31}, asked); diff != "" {
			t.Error(diff)
		}
		for _, line := range []string{"no packet of another machine has been received since the link came up", `msg="another machine is heard"`} {
			if strings.Count(out.String(), line) != 1 {
				t.Errorf("log without %s:\n%s", line, out.String())
			}
		}
		for _, err := range []error{nil, kernel.ErrNoNeighbours, errors.New("too many open files")} {
			l.Listen()
			if took := run(answers(0, err)); took != 0 || l.Listening() {
				t.Errorf("%v: it took %s", err, took)
			}
		}
		l.Listen()
		times := 0
		took := run(func(context.Context, time.Duration) error {
			switch times++; times {
			case 1:
				return kernel.ErrNoInterface
			case 2:
				l.Listen() // it has come up again: what was heard before says nothing
			}
			return nil
		})
		if took != time.Second || times != 3 || l.Listening() {
			t.Errorf("asked %d times in %s", times, took)
		}
		l.Listen()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := NewHearing(l, answers(time.Hour, nil)).Run(ctx); err != nil || !l.Listening() {
			t.Errorf("stopped: %v", err)
		}
	})
}

// TestHearingTellsActors: an instance that starts while the link is silent waits, until the Hearing tells it.
func TestHearingTellsActors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := newLAN()
		link := NewLink(eth0, nil, slog.New(slog.DiscardHandler))
		link.Listen()
		heard := make(chan struct{})
		a := New(Options{
			ID: "a", Name: "a", Params: vrrp.Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second, Preempt: true, Source: netip.MustParseAddr("10.77.0.2")},
			Wire: tap{lan: segment}, Holder: &port{lan: segment, who: "a"}, Log: slog.New(slog.DiscardHandler),
			Deaf: func() time.Duration { return 30 * time.Second },
		})
		link.Attach(51, a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 2)
		go func() { _ = a.Run(ctx); done <- struct{}{} }()
		go func() {
			_ = NewHearing(link, func(context.Context, time.Duration) error { <-heard; return nil }).Run(ctx)
			done <- struct{}{}
		}()
		time.Sleep(20 * time.Second)
		if s := a.Snapshot(); s.State != vrrp.Backup || s.DeafFor < 19*time.Second || !s.Deafened {
			t.Errorf("before: %+v", s)
		}
		close(heard)
		time.Sleep(4 * time.Second)
		if s := a.Snapshot(); s.State != vrrp.Master || s.DeafFor != 0 || s.Deafened {
			t.Errorf("after: %+v", s)
		}
		cancel()
		<-done
		<-done
	})
}
