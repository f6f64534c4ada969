package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Routing is a set of routes and rules of a director.
type Routing struct {
	Routes []kernel.Route
	Rules  []kernel.Rule
}

// routingOf returns the routes and rules of all instances of a file.
func routingOf(cfg *config.Config) (r Routing) {
	for _, i := range cfg.Instances {
		r.Routes, r.Rules = append(r.Routes, i.Routes...), append(r.Rules, i.Rules...)
	}
	return r
}

func (r Routing) with(more Routing) Routing {
	return Routing{append(r.Routes, more.Routes...), append(r.Rules, more.Rules...)}
}

// covers reports whether r has everything that another set has.
func (r Routing) covers(other Routing) bool {
	return !slices.ContainsFunc(other.Routes, func(a kernel.Route) bool { return !slices.Contains(r.Routes, a) }) &&
		!slices.ContainsFunc(other.Rules, func(a kernel.Rule) bool { return !slices.Contains(r.Rules, a) })
}

// Leftover returns those of the routes and rules found on a host that belong to this set: a route by its destination,
// table and metric.
func (r Routing) Leftover(routes []kernel.Route, rules []kernel.Rule) (left Routing) {
	for _, have := range routes {
		if slices.ContainsFunc(r.Routes, func(a kernel.Route) bool { return a.Key() == have.Key() }) {
			left.Routes = append(left.Routes, have)
		}
	}
	for _, have := range rules {
		if slices.Contains(r.Rules, have) {
			left.Rules = append(left.Rules, have)
		}
	}
	return left
}
