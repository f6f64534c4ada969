package reconcile

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// routeSet is a set of routes and rules with the instances that want them.
type routeSet struct {
	routes []ownedRoute
	rules  []ownedRule
}

type ownedRoute struct {
	kernel.Route
	instance config.InstanceID
}

type ownedRule struct {
	kernel.Rule
	instance config.InstanceID
}

// instances returns the instances that want something.
func (r routeSet) instances() (all []config.InstanceID) {
	for _, route := range r.routes {
		all = append(all, route.instance)
	}
	for _, rule := range r.rules {
		all = append(all, rule.instance)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// owners are the routes and rules that may be removed, with the instances that have them.
type owners struct {
	routes map[kernel.RouteKey]config.InstanceID
	rules  map[kernel.Rule]config.InstanceID
}

// routeChanges lead from what is in the kernel to what is wanted.
type routeChanges struct {
	removeRules  []kernel.Rule
	removeRoutes []kernel.Route
	addRoutes    []ownedRoute
	addRules     []ownedRule
}

// changes returns the changes to what is wanted. routes and rules are those of the kernel with our protocol number; of
// these, only those with an owner are removed. A route that is not exactly as wanted is removed and added.
func changes(routes []kernel.Route, rules []kernel.Rule, want routeSet, ours owners) (c routeChanges) {
	right := make([]bool, len(want.routes))
	for _, have := range routes {
		at := slices.IndexFunc(want.routes, func(w ownedRoute) bool { return have.Is(w.Route) })
		if at >= 0 {
			right[at] = true
		} else if _, owned := ours.routes[have.Key()]; owned {
			c.removeRoutes = append(c.removeRoutes, have)
		}
	}
	for n, w := range want.routes {
		if !right[n] {
			c.addRoutes = append(c.addRoutes, w)
		}
	}
	for _, have := range rules {
		_, owned := ours.rules[have]
		if owned && !slices.ContainsFunc(want.rules, func(w ownedRule) bool { return w.Rule == have }) {
			c.removeRules = append(c.removeRules, have)
		}
	}
	for _, w := range want.rules {
		if !slices.Contains(rules, w.Rule) {
			c.addRules = append(c.addRules, w)
		}
	}
	return c
}
