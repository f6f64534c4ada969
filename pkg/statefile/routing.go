package statefile

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// lenient is a list that is read without the entries that are invalid: these were never in the kernel.
type lenient[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (all *lenient[T]) UnmarshalJSON(data []byte) error {
	var written []json.RawMessage
	if err := json.Unmarshal(data, &written); err != nil {
		return err
	}
	*all = nil
	for _, text := range written {
		var one T
		if json.Unmarshal(text, &one) == nil {
			*all = append(*all, one)
		}
	}
	return nil
}

func compareRoutes(a, b kernel.Route) int {
	return cmp.Or(a.Destination.Compare(b.Destination), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.String(), b.String()))
}

func compareRules(a, b kernel.Rule) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.String(), b.String()))
}

// addRouting adds routes and rules, and reports whether that changed anything.
func (b *content) addRouting(routes []kernel.Route, rules []kernel.Rule) bool {
	known := func(r kernel.Route) bool { return r.Destination.IsValid() }
	changed := replace(&b.Routes, slices.Concat(b.Routes, routes), compareRoutes)
	b.Routes = slices.DeleteFunc(slices.Clone(b.Routes), func(r kernel.Route) bool { return !known(r) })
	return replace(&b.Rules, slices.Concat(b.Rules, rules), compareRules) || changed
}

// Routes returns the routes that were added, sorted.
func (l *File) Routes() []kernel.Route {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Routes)
}

// Rules returns the policy rules that were added, sorted.
func (l *File) Rules() []kernel.Rule {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Rules)
}

// SetRouting replaces all routes and rules.
func (l *File) SetRouting(routes []kernel.Route, rules []kernel.Rule) error {
	return l.change(func(b *content) bool {
		changed := replace(&b.Routes, routes, compareRoutes)
		return replace(&b.Rules, rules, compareRules) || changed
	})
}

// RecordRouting adds routes and rules; those already recorded are ignored.
func (l *File) RecordRouting(routes []kernel.Route, rules []kernel.Rule) error {
	return l.change(func(b *content) bool { return b.addRouting(routes, rules) })
}
