package reconcile

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// RouteKernel lists and changes the routes and rules with our protocol number. Every call has its own deadline.
type RouteKernel interface {
	Routes() ([]kernel.Route, error)
	Rules() ([]kernel.Rule, error)
	// Add and AddRule return an error if another program has added one with the same key.
	Add(kernel.Route) error
	AddRule(kernel.Rule) error
	// Remove and RemoveRule return no error if it is gone.
	Remove(kernel.Route) error
	RemoveRule(kernel.Rule) error
}

// Routes is the loop that keeps the routes and rules of the instances whose VIPs are held. It is separate from the address
// loop, which never waits for it. Set and Held may be called from any goroutine; Run carries it out.
type Routes struct {
	kernel RouteKernel
	log    *slog.Logger
	dirty  chan struct{}
	ready  task.Latch

	mu       sync.Mutex // guards named, held and troubles
	named    map[config.InstanceID]VIPs
	held     map[config.InstanceID]bool
	troubles []RoutingTrouble

	// Owned by Run:
	heart  *heartbeat.Signal
	ours   owners          // what this loop may remove: all that a cluster file of this run has named
	added  map[string]bool // and not removed since
	logged map[string]string
}

// RoutingTrouble is a route or rule of an instance that is not as it should be.
type RoutingTrouble struct {
	Instance config.InstanceID
	Failed   error
}

const (
	// routesEvery is how often routes and rules are read: the kernel reports changes, but also those of every other program.
	routesEvery = time.Second
	// routesShare limits the part of the time that this loop spends reading: a kernel may have a million routes.
	routesShare = 50
)

// NewRoutes makes the loop.
func NewRoutes(k RouteKernel, log *slog.Logger) *Routes {
	return &Routes{
		kernel: k, log: log, dirty: make(chan struct{}, 1), named: map[config.InstanceID]VIPs{}, held: map[config.InstanceID]bool{},
		ours: owners{map[kernel.RouteKey]config.InstanceID{}, map[kernel.Rule]config.InstanceID{}}, added: map[string]bool{}, logged: map[string]string{},
	}
}

// Set replaces the list of instances with their routes and rules.
func (r *Routes) Set(all []VIPs) {
	r.mu.Lock()
	r.named = make(map[config.InstanceID]VIPs, len(all))
	for _, v := range all {
		r.named[v.Instance] = v
	}
	r.mu.Unlock()
	r.poke()
}

// Held says whether the VIPs of an instance are held. It does not block.
func (r *Routes) Held(instance config.InstanceID, held bool) {
	r.mu.Lock()
	if r.held[instance] = held; !held {
		delete(r.held, instance)
	}
	r.mu.Unlock()
	r.poke()
}

func (r *Routes) poke() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// Name implements task.Task.
func (r *Routes) Name() string { return "the route loop" }

// Ready is closed after the first pass.
func (r *Routes) Ready() <-chan struct{} { return r.ready.Ready() }

// Troubles returns what the last pass could not do, by instance.
func (r *Routes) Troubles() []RoutingTrouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.troubles)
}

// Run keeps the routes and rules until ctx ends, then removes them.
func (r *Routes) Run(ctx context.Context) error {
	r.heart = heartbeat.From(ctx)
	defer r.heart.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			r.mu.Lock()
			clear(r.held)
			r.mu.Unlock()
			r.pass()
			return nil
		case <-r.dirty:
			next = time.Time{}
		case <-timer.C:
		}
		r.heart.Beat()
		if begun := time.Now(); !begun.Before(next) {
			r.pass()
			now := time.Now()
			next = now.Add(max(heartbeat.Until(now, routesEvery), routesShare*now.Sub(begun)))
		}
		r.ready.Close()
		timer.Reset(min(max(time.Until(next), 0), heartbeat.Until(time.Now(), heartbeat.Every)))
	}
}

// pass brings the routes and rules to their desired state: rules are removed before the routes that they lead to, and
// added after them.
func (r *Routes) pass() {
	want := r.desired()
	if len(r.ours.routes)+len(r.ours.rules) == 0 {
		return
	}
	var troubles []RoutingTrouble
	note := func(instance config.InstanceID, what string, err error) {
		r.heart.Beat()
		if err == nil {
			delete(r.logged, what)
			return
		}
		troubles = append(troubles, RoutingTrouble{instance, err})
		if text := err.Error(); r.logged[what] != text {
			r.logged[what] = text
			r.log.Error("cannot keep a route or rule; trying again every second", "error", err)
		}
	}
	routes, err := r.kernel.Routes()
	var rules []kernel.Rule
	if err == nil {
		rules, err = r.kernel.Rules()
	}
	if err != nil {
		for _, instance := range want.instances() {
			note(instance, "the list", err)
		}
		r.publish(troubles)
		return
	}
	delete(r.logged, "the list")
	c := changes(routes, rules, want, r.ours)
	for _, rule := range c.removeRules {
		note(r.ours.rules[rule], rule.String(), r.removed(rule.String(), r.kernel.RemoveRule(rule)))
	}
	for _, route := range c.removeRoutes {
		note(r.ours.routes[route.Key()], route.String(), r.removed(route.String(), r.kernel.Remove(route)))
	}
	for _, route := range c.addRoutes {
		note(route.instance, route.String(), r.put(route.instance, route.String(), r.kernel.Add(route.Route)))
	}
	for _, rule := range c.addRules {
		note(rule.instance, rule.String(), r.put(rule.instance, rule.String(), r.kernel.AddRule(rule.Rule)))
	}
	r.publish(troubles)
}

func (r *Routes) put(instance config.InstanceID, what string, err error) error {
	switch name := r.label(instance); {
	case err != nil:
	case r.added[what]:
		r.log.Warn("a route or rule was deleted or changed by another process; restored", "instance", name, "route", what)
	default:
		r.added[what] = true
		r.log.Info("added a route or rule", "instance", name, "route", what)
	}
	return err
}

func (r *Routes) removed(what string, err error) error {
	if err == nil {
		delete(r.added, what)
		r.log.Info("removed a route or rule", "route", what)
	}
	return err
}

func (r *Routes) label(instance config.InstanceID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named[instance].Label()
}

func (r *Routes) publish(troubles []RoutingTrouble) {
	slices.SortStableFunc(troubles, func(a, b RoutingTrouble) int { return cmp.Compare(a.Instance, b.Instance) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.troubles = troubles
}

// desired returns what is to be in the kernel, and notes what this loop may remove.
func (r *Routes) desired() (want routeSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.named)) {
		v := r.named[id]
		for _, route := range v.Routes {
			r.ours.routes[route.Key()] = id
			if r.held[id] {
				want.routes = append(want.routes, ownedRoute{route, id})
			}
		}
		for _, rule := range v.Rules {
			r.ours.rules[rule] = id
			if r.held[id] {
				want.rules = append(want.rules, ownedRule{rule, id})
			}
		}
	}
	return want
}
