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
}

func (k *markTable) Generation(context.Context) (uint32, error) { return 1, nil }
func (k *markTable) Intact(_ context.Context, m kernel.Marking) (bool, error) {
	return m.Equal(k.put), nil
}

func (k *markTable) Put(_ context.Context, m kernel.Marking) error { k.put = m; return nil }

func (k *markTable) Remove(context.Context) (bool, error) { k.put = kernel.Marking{}; return true, nil }

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
			if got := fmt.Sprint(names, " ", why); got != lacking || k.asked < asked-1 || k.asked > asked+1 || problem != "" || !k.put.Equal(want) {
				t.Errorf("%s: %s after %d times, want %s after %d; %s; put %v", when, got, k.asked, lacking, asked, problem, k.put)
			}
			k.asked = 0
		}
		go func() { _ = r.Run(ctx) }()
		time.Sleep(2 * time.Second)
		expect("at first", "[] no memory", 11)
		time.Sleep(2 * time.Second)
		expect("soon", "[10.77.0.3] no memory", 5)
		time.Sleep(20 * time.Second)
		expect("later", "[10.77.0.3] no memory", 20)
		r.mu.Lock()
		k.unread = nil
		r.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		expect("what is known can be read", "[10.77.0.3] ", 1)
		r.mu.Lock()
		k.known = true
		r.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		expect("the host is known", "[] ", 1)
	})
}
