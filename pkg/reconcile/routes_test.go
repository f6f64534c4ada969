package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var errTaken = errors.New("another program has added it")

// fakeFIB is the routes and rules of a kernel: ours and those of other programs.
type fakeFIB struct {
	mu      sync.Mutex // guards all below
	routes  []kernel.Route
	rules   []kernel.Rule
	foreign []kernel.Route
	lists   int
	slow    time.Duration // how long a list takes
	refuse  error
}

func (f *fakeFIB) Routes() ([]kernel.Route, error) {
	f.mu.Lock()
	f.lists++
	slow := f.slow
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.routes), nil
}

func (f *fakeFIB) Rules() ([]kernel.Rule, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rules), nil
}

// change is what another process does.
func (f *fakeFIB) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
}

// has returns the number of our routes.
func (f *fakeFIB) has() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.routes)
}

// listed returns how often the routes were listed.
func (f *fakeFIB) listed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

func (f *fakeFIB) Add(r kernel.Route) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := func(other kernel.Route) bool { return other.Key() == r.Key() }
	if slices.ContainsFunc(f.foreign, same) || slices.ContainsFunc(f.routes, same) {
		return errTaken
	}
	if f.refuse == nil {
		f.routes = append(f.routes, r)
	}
	return f.refuse
}

func (f *fakeFIB) AddRule(r kernel.Rule) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.rules, r) {
		return errTaken
	}
	f.rules = append(f.rules, r)
	return nil
}

func (f *fakeFIB) Remove(r kernel.Route) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes = slices.DeleteFunc(f.routes, func(have kernel.Route) bool { return have == r })
	return nil
}

func (f *fakeFIB) RemoveRule(r kernel.Rule) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = slices.DeleteFunc(f.rules, func(have kernel.Rule) bool { return have == r })
	return nil
}

func toNetwork(text string, metric uint32) kernel.Route {
	return kernel.Route{Destination: netip.MustParsePrefix(text), Interface: "eth0", Table: kernel.MainTable, Metric: metric}
}

// TestChangesOfRoutes: from every state of the kernel the changes lead to what is wanted, touch nothing without an owner,
// and are empty when it is reached.
func TestChangesOfRoutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Custom(func(t *rapid.T) kernel.Route {
			r := toNetwork(rapid.SampledFrom([]string{"10.1.0.0/16", "10.2.0.0/16", "fd00:1::/64"}).Draw(t, "to"), rapid.SampledFrom([]uint32{0, 1024}).Draw(t, "metric"))
			r.Interface = rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "interface")
			return r
		})
		byKey := func(r kernel.Route) kernel.RouteKey { return r.Key() }
		have := rapid.SliceOfDistinct(some, byKey).Draw(t, "have")
		owned := rapid.SliceOfDistinct(some, byKey).Draw(t, "owned")
		ours := owners{map[kernel.RouteKey]config.InstanceID{}, map[kernel.Rule]config.InstanceID{}}
		var want routeSet
		for _, r := range owned {
			ours.routes[r.Key()] = "a"
			if rapid.Bool().Draw(t, "wanted") {
				want.routes = append(want.routes, ownedRoute{r, "a"})
			}
		}
		f := fakeFIB{routes: slices.Clone(have)}
		c := changes(f.routes, nil, want, ours)
		for _, r := range c.removeRoutes {
			if _, ok := ours.routes[r.Key()]; !ok {
				t.Fatalf("%s belongs to nobody, and is removed", r)
			}
			_ = f.Remove(r)
		}
		for _, r := range c.addRoutes {
			if err := f.Add(r.Route); err != nil {
				t.Fatalf("add %s: %v", r, err)
			}
		}
		if again := changes(f.routes, nil, want, ours); len(again.addRoutes)+len(again.removeRoutes) > 0 {
			t.Fatalf("not reached: %+v", again)
		}
		for _, r := range have {
			if _, ok := ours.routes[r.Key()]; !ok && !slices.Contains(f.routes, r) {
				t.Fatalf("%s is gone", r)
			}
		}
	})
}

// TestRouteLoop: routes appear when the VIPs are held, are repaired within a second, and the time spent on reading them is
// limited; without routes nothing is read.
func TestRouteLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeFIB{}
		r := NewRoutes(f, slog.New(slog.DiscardHandler))
		run := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { run <- r.Run(ctx) }()
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		r.Set([]VIPs{{Instance: "b"}})
		pass(time.Minute)
		if f.listed() > 0 {
			t.Errorf("%d lists without a route", f.listed())
		}
		route := toNetwork("10.1.0.0/16", 0)
		r.Set([]VIPs{{Instance: "a", Routes: []kernel.Route{route}}})
		pass(time.Minute)
		if f.has() > 0 {
			t.Error("a route although the VIPs are not held")
		}
		r.Held("a", true)
		pass(0)
		if f.has() != 1 {
			t.Error("no route when the VIPs are held")
		}
		f.change(func() { f.routes = nil })
		pass(1100 * time.Millisecond)
		if f.has() != 1 {
			t.Error("not repaired")
		}
		f.change(func() { f.routes, f.foreign = nil, []kernel.Route{route} })
		pass(1100 * time.Millisecond)
		if all := r.Troubles(); len(all) != 1 || all[0].Instance != "a" || !errors.Is(all[0].Failed, errTaken) {
			t.Errorf("troubles: %v", all)
		}
		f.change(func() { f.foreign, f.slow = nil, time.Second })
		pass(10 * time.Second)
		if len(r.Troubles()) > 0 || f.has() != 1 {
			t.Errorf("troubles after the other program has removed its route: %v", r.Troubles())
		}
		before := f.listed()
		pass(10 * time.Minute)
		if n := f.listed() - before; n > 13 || n < 10 {
			t.Errorf("%d lists of 1 s in 10 minutes", n)
		}
		f.change(func() { f.slow = 0 })
		r.Held("a", false)
		pass(0)
		if f.has() > 0 {
			t.Error("still there when the VIPs are not held")
		}
		r.Held("a", true)
		pass(0)
		cancel()
		if err := <-run; err != nil || f.has() > 0 {
			t.Errorf("at the end: %v, %v", f.routes, err)
		}
	})
}
