package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// markTable is a kernel with marking rules, which knows no other host.
type markTable struct {
	put    kernel.Marking
	asked  int
	known  bool
	unread error
	fail   error // of Put and Remove, which is done or not
	done   bool
}

func (k *markTable) Generation(context.Context) (uint32, error) { return 1, nil }
func (k *markTable) Intact(_ context.Context, m kernel.Marking) (bool, error) {
	return m.Equal(k.put), nil
}

func (k *markTable) Put(_ context.Context, m kernel.Marking) error {
	if k.fail == nil || k.done {
		k.put = m
	}
	return k.fail
}

func (k *markTable) Remove(context.Context) (bool, error) {
	removed := !k.put.None()
	if k.fail == nil || k.done {
		k.put = kernel.Marking{}
	}
	return removed && k.fail == nil, k.fail
}

func (k *markTable) Complete(_ context.Context, m kernel.Marking) (kernel.Marking, []netip.Addr, error) {
	k.asked++
	if k.known {
		return m, nil, nil
	}
	return m, m.Directors, k.unread
}

// TestIncompleteRules: hosts that the kernel does not know are asked for often for three seconds, then once a second, and are
// named. Rules are put without them, also if what is known cannot be read.
func TestIncompleteRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &markTable{unread: errors.New("no memory")}
		r := NewRuleTable(k, "marks", slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		want := kernel.Marking{Endpoints: []kernel.MarkedEndpoint{{Mark: 5}}, Directors: []netip.Addr{netip.MustParseAddr("10.77.0.3")}}
		r.Set(want)
		expect := func(when, lacking string, asked int) {
			t.Helper()
			names, why := r.Incomplete()
			problem := r.Problem()
			r.mu.Lock() // held during passes
			defer r.mu.Unlock()
			if got := fmt.Sprint(names, " ", why); got != lacking || k.asked != asked || problem != "" || !k.put.Equal(want) {
				t.Errorf("%s: %s after %d times, want %s after %d; %s; put %v", when, got, k.asked, lacking, asked, problem, k.put)
			}
			k.asked = 0
		}
		go func() { _ = r.Run(ctx) }()
		time.Sleep(2*time.Second + 50*time.Millisecond) // between two passes
		expect("at first", "[] no memory", 11)
		time.Sleep(2 * time.Second)
		expect("soon", "[10.77.0.3] no memory", 6)
		time.Sleep(20 * time.Second)
		expect("later", "[10.77.0.3] no memory", 20)
		r.mu.Lock()
		k.unread = nil
		r.mu.Unlock()
		time.Sleep(time.Second)
		expect("what is known can be read", "[10.77.0.3] ", 1)
		r.mu.Lock()
		k.known = true
		r.mu.Unlock()
		time.Sleep(time.Second)
		expect("the host is known", "[] ", 1)
	})
}

// TestIncompleteAtOnce: hosts that are lacking since a Set beside Run are asked for again after 200 ms, not at the next second.
func TestIncompleteAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &markTable{}
		r := NewRuleTable(k, "marks", slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = r.Run(ctx) }()
		synctest.Wait()
		r.Set(kernel.Marking{Endpoints: []kernel.MarkedEndpoint{{Mark: 5}}, Directors: []netip.Addr{netip.MustParseAddr("10.77.0.3")}})
		time.Sleep(lackingEvery + lackingEvery/2)
		r.mu.Lock()
		defer r.mu.Unlock()
		if k.asked != 2 {
			t.Errorf("asked %d times in %s, want 2", k.asked, lackingEvery+lackingEvery/2)
		}
	})
}

// TestRulesThatMayBeThere: a Put that fails may have been done, by a kernel whose answer was lost; what is not wanted any more is
// removed then, too, unless the director may not change the packet filter.
func TestRulesThatMayBeThere(t *testing.T) {
	want := kernel.Marking{Endpoints: []kernel.MarkedEndpoint{{Mark: 5}}}
	denied := fmt.Errorf("%w: needs CAP_NET_ADMIN", kernel.ErrNotPermitted)
	for _, tt := range []struct {
		name    string
		fail    error
		done    bool
		problem bool // after the rules are not wanted any more, with the same failure
	}{
		{"lost", context.DeadlineExceeded, true, true},
		{"full", errors.New("no memory"), false, true},
		{"denied", denied, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &markTable{known: true, fail: tt.fail, done: tt.done}
			r := NewRuleTable(k, "marks", slog.New(slog.DiscardHandler))
			r.Set(want)
			if r.Problem() == "" {
				t.Error("no problem")
			}
			r.Set(kernel.Marking{})
			if got := r.Problem() != ""; got != tt.problem {
				t.Errorf("not wanted any more: problem %q", r.Problem())
			}
			if err := r.Withdraw(t.Context()); (err == nil) != errors.Is(tt.fail, kernel.ErrNotPermitted) {
				t.Errorf("withdrawn: %v", err)
			}
			k.fail = nil
			r.Set(kernel.Marking{})
			if r.Problem() != "" || !k.put.None() {
				t.Errorf("at the end: %q, %v", r.Problem(), k.put)
			}
		})
	}
	k := &markTable{known: true}
	r := NewRuleTable(k, "marks", slog.New(slog.DiscardHandler))
	r.Set(want)
	k.fail = denied
	if err := r.Withdraw(t.Context()); !errors.Is(err, kernel.ErrNotPermitted) || k.put.None() {
		t.Errorf("rules that are there, and may not be removed any more: %v", err)
	}
}
