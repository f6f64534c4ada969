package director

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// fakeQuiet is the packet filter of unknown connections of a fakeKernel.
type fakeQuiet struct{ *fakeKernel }

func (k *fakeKernel) QuietFilter() reconcile.RuleKernel[kernel.Quiet] { return fakeQuiet{k} }

func (f fakeQuiet) Generation(context.Context) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.vipRules.generation, f.fail["nft"]
}

func (f fakeQuiet) Intact(_ context.Context, q kernel.Quiet) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.quietRules.Equal(q), f.fail["nft"]
}

func (f fakeQuiet) Put(_ context.Context, q kernel.Quiet) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail["nft"]; err != nil {
		return err
	}
	f.quietRules = q
	return nil
}

func (f fakeQuiet) Remove(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	removed := !f.quietRules.None()
	if removed {
		f.quietRules = kernel.Quiet{}
	}
	return removed, f.fail["nft"]
}

// TestQuietRules: addresses are quiet while their instance is not MASTER, and two seconds longer. A change by another program is mended.
func TestQuietRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		one, two := config.InstanceID("one"), config.InstanceID("two")
		a, b := netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.101")
		q := newQuietVIPs(k.QuietFilter(), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- q.loop.Run(ctx) }()
		rules := func(when string, addresses ...netip.Addr) {
			t.Helper()
			synctest.Wait()
			k.mu.Lock()
			defer k.mu.Unlock()
			if !slices.Equal(k.quietRules.Addresses, addresses) {
				t.Errorf("%s: %+v, want %v", when, k.quietRules, addresses)
			}
		}
		rules("nothing is wanted")
		q.set(plan.Quiet{Addresses: map[config.InstanceID][]netip.Addr{one: {a}, two: {b}}})
		rules("at the start", a, b)
		q.moved(one, "BACKUP")
		q.moved(one, "MASTER")
		rules("just MASTER", a, b)
		time.Sleep(quietFor - time.Millisecond)
		rules("a little later", a, b)
		time.Sleep(time.Millisecond)
		rules("after two seconds", b)
		k.flushesQuiet()
		time.Sleep(1100 * time.Millisecond)
		rules("after nft flush ruleset", b)
		q.moved(one, "BACKUP")
		rules("BACKUP again", a, b)
		q.moved(one, "MASTER")
		q.moved(one, "FAULT")
		time.Sleep(quietFor)
		rules("FAULT soon after MASTER", a, b)
		own := plan.Quiet{Addresses: map[config.InstanceID][]netip.Addr{one: {a, b}}, Own: []netip.Addr{b}}
		q.set(own)
		rules("FAULT as a real server", a)
		q.moved(one, "BACKUP")
		rules("BACKUP as a real server", a)
		q.moved(one, "MASTER")
		rules("just MASTER as a real server", a, b)
		time.Sleep(quietFor)
		rules("MASTER as a real server")
		q.moved(one, "BACKUP")
		rules("BACKUP again as a real server", a)
		q.set(plan.Quiet{})
		rules("no longer wanted")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestQuietWithoutNFTables: a kernel without nf_tables is no error, which is logged once; another failure is one, and is tried again.
func TestQuietWithoutNFTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		k.fail["nft"] = kernel.ErrNoNFTables
		var log logtest.Buffer
		q := newQuietVIPs(k.QuietFilter(), slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- q.loop.Run(ctx) }()
		there := func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return !k.quietRules.None()
		}
		q.set(plan.Quiet{Addresses: map[config.InstanceID][]netip.Addr{"one": {netip.MustParseAddr("10.77.0.100")}}})
		time.Sleep(5 * time.Second)
		if text := log.String(); strings.Count(text, "level=INFO") != 1 || strings.Contains(text, "level=ERROR") {
			t.Errorf("log:\n%s", text)
		}
		<-q.loop.Ready()
		k.mu.Lock()
		k.fail["nft"] = errors.New("another")
		k.mu.Unlock()
		time.Sleep(5 * time.Second)
		if text := log.String(); strings.Count(text, "level=ERROR") != 1 || there() {
			t.Errorf("log:\n%s", text)
		}
		k.mu.Lock()
		delete(k.fail, "nft")
		k.mu.Unlock()
		time.Sleep(2 * time.Second)
		if q.loop.Problem() != "" || !there() {
			t.Errorf("problem %q", q.loop.Problem())
		}
		set := func(fails error) {
			k.mu.Lock()
			k.fail["nft"] = fails
			k.mu.Unlock()
		}
		set(errors.New("another"))
		q.set(plan.Quiet{Addresses: map[config.InstanceID][]netip.Addr{"one": {netip.MustParseAddr("10.77.0.101")}}})
		synctest.Wait()
		set(nil)
		q.set(plan.Quiet{})
		synctest.Wait()
		if there() {
			t.Error("rules that could not be changed, and are not wanted any more, are there")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func quietCases() []codesCase {
	return []codesCase{
		{On: "BACKUP", File: codesFile + syncing, Before: func(n *node) { n.counted(0) }, Case: problemtest.Case[*node]{
			Code: problem.UnknownReset, Fault: "the rules cannot be restored",
			Break: func(n *node) { n.refuse("nft", errors.New("no memory")); n.flushesQuiet() },
			Mend:  func(n *node) { n.refuse("nft", nil) },
		}},
	}
}

// flushesQuiet is another program that removes all rules of the packet filter.
func (k *fakeKernel) flushesQuiet() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quietRules = kernel.Quiet{}
	k.vipRules.generation++
}
