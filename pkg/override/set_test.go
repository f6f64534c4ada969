package override_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/override"
)

var (
	noon   = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	mysql1 = override.Server{Service: "mysql", Name: "mysql1", Address: "10.77.0.11"}
	web1   = override.Server{Service: "web", Name: "mysql1", Address: "10.77.0.11"}
)

func drain(t override.Target) override.Override {
	return override.Override{Target: t, Kind: override.Drain, Author: "alice"}
}

// TestOf: the last decision counts, also one about another target that covers the server.
func TestOf(t *testing.T) {
	one, everywhere, byAddress := override.Target{Service: "mysql", Server: "mysql1"}, override.Target{Server: "mysql1"}, override.Target{Server: "10.77.0.11"}
	type put = override.Override
	for _, tt := range []struct {
		name       string
		puts       []put
		mysql, web string
	}{
		{"none", nil, "", ""},
		{"in one virtual server", []put{drain(one)}, "drain", ""},
		{"in all", []put{drain(everywhere)}, "drain", "drain"},
		{"by address", []put{drain(byAddress)}, "drain", "drain"},
		{"in all but one", []put{drain(everywhere), {Target: one, Kind: override.Enable}}, "", "drain"},
		{"ended for all", []put{drain(one), {Target: everywhere, Kind: override.Enable}}, "", ""},
		{"then the weight", []put{drain(one), {Target: one, Kind: override.Weight, Weight: 3}}, "weight 3", ""},
		{"a weight that nobody can have", []put{{Target: one, Kind: override.Weight, Weight: 65536}}, "", ""},
		{"disabled until noon", []put{{Target: one, Kind: override.Disable, Until: noon}}, "", ""},
		{"disabled until one", []put{{Target: one, Kind: override.Disable, Until: noon.Add(time.Hour)}}, "disable", ""},
		{"the director", []put{drain(override.Target{})}, "", ""},
	} {
		var s override.Set
		for _, o := range tt.puts {
			s, _ = s.Put(o, "lvs-master", noon)
		}
		for server, want := range map[override.Server]string{mysql1: tt.mysql, web1: tt.web} {
			if o, ok := s.Of(server, noon); o.String() != want || ok != (want != "") {
				t.Errorf("%s: %s has %q (%t), want %q", tt.name, server.Service, o, ok, want)
			}
		}
		if _, ok := s.Director(noon); ok != (tt.name == "the director") {
			t.Errorf("%s: the director: %t", tt.name, ok)
		}
	}
}

// TestClock: a decision is later than every one that was seen, whatever the wall clock says.
func TestClock(t *testing.T) {
	target := override.Target{Server: "mysql1"}
	s, first := override.Set{}.Put(drain(target), "b", noon)
	s, second := s.Put(override.Override{Target: target, Kind: override.Enable}, "a", noon.Add(-time.Hour))
	if second.Compare(first) <= 0 || len(s.All()) != 1 || s.All()[0] != second {
		t.Errorf("%+v after %+v: %+v", second, first, s.All())
	}
}

// TestPrune: what has ended is dropped after a time, what has an effect never is.
func TestPrune(t *testing.T) {
	s, _ := override.Set{}.Put(drain(override.Target{Server: "a"}), "n", noon)
	s, _ = s.Put(override.Override{Target: override.Target{Server: "b"}, Kind: override.Enable}, "n", noon)
	s, _ = s.Put(override.Override{Target: override.Target{Server: "c"}, Kind: override.Disable, Until: noon.Add(time.Minute)}, "n", noon)
	if all := s.Prune(noon).All(); len(all) != 3 {
		t.Errorf("at once: %+v", all)
	}
	if all := s.Prune(noon.Add(time.Hour)).All(); len(all) != 1 || all[0].Target.Server != "a" {
		t.Errorf("an hour later: %+v", all)
	}
}

// TestPruneEnded: what ends an older override of another target is kept as long as that.
func TestPruneEnded(t *testing.T) {
	one, everywhere := override.Target{Service: "mysql", Server: "mysql1"}, override.Target{Server: "mysql1"}
	address := override.Target{Server: "10.77.0.11"}
	later := noon.Add(1000 * time.Hour)
	for name, puts := range map[string][]override.Override{
		"for all, then in one":     {drain(everywhere), {Target: one, Kind: override.Enable}},
		"in one, then for all":     {drain(one), {Target: everywhere, Kind: override.Enable}},
		"by address, then by name": {drain(address), {Target: everywhere, Kind: override.Enable}},
		"expired":                  {drain(one), {Target: everywhere, Kind: override.Disable, Until: noon.Add(time.Hour)}},
	} {
		var s override.Set
		for _, o := range puts {
			s, _ = s.Put(o, "n", noon)
		}
		if o, ok := s.Prune(later).Of(mysql1, later); ok {
			t.Errorf("%s: %s is back", name, o)
		}
		older := puts[0]
		older.Kind = override.Enable
		s, _ = s.Put(older, "n", noon)
		if all := s.Prune(later).All(); len(all) != 0 {
			t.Errorf("%s: the older one has ended: %+v", name, all)
		}
	}
}

// TestRenamedInOne: an override for all virtual servers holds in all of them after a reload that renames the real server
// in one, and has the new name if all have.
func TestRenamedInOne(t *testing.T) {
	servers := []override.Server{mysql1, web1}
	before, _ := override.Set{}.Put(drain(override.Target{Server: "mysql1"}), "n", noon)
	s := before.Renamed(map[string]string{"mysql/mysql1": "mysql/db1"}, servers)
	db1 := override.Server{Service: "mysql", Name: "db1", Address: "10.77.0.11"}
	for _, server := range []override.Server{db1, web1} {
		if o, _ := s.Of(server, noon); o.Kind != override.Drain || o.Clock != before.All()[0].Clock {
			t.Errorf("%s/%s: %+v", server.Service, server.Name, o)
		}
	}
	s = before.Renamed(map[string]string{"mysql/mysql1": "mysql/db1", "web/mysql1": "web/db1"}, servers)
	if all := s.All(); len(all) != 1 || all[0].Target != (override.Target{Server: "db1"}) {
		t.Errorf("renamed in all: %+v", all)
	}
}

// TestRenamed: an override follows its server to a new name, also if two have changed theirs.
func TestRenamed(t *testing.T) {
	s, _ := override.Set{}.Put(drain(override.Target{Service: "mysql", Server: "a"}), "n", noon)
	s, _ = s.Put(override.Override{Target: override.Target{Service: "mysql", Server: "b"}, Kind: override.Disable}, "n", noon)
	s, _ = s.Put(drain(override.Target{Server: "c"}), "n", noon)
	s = s.Renamed(map[string]string{"mysql": "db", "mysql/a": "db/b", "mysql/b": "db/a", "mysql/c": "db/d"}, []override.Server{{Service: "mysql", Name: "c"}})
	got := map[string]string{}
	for _, o := range s.All() {
		got[o.Target.String()] = o.String()
	}
	if diff := cmp.Diff(map[string]string{"db/a": "disable", "db/b": "drain", "d": "drain"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestMerge: the sets of directors can be merged in any order, and any number of times.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := sets().Draw(t, "a"), sets().Draw(t, "b"), sets().Draw(t, "c")
		for name, pair := range map[string][2]override.Set{
			"commutative": {a.Merge(b), b.Merge(a)},
			"associative": {a.Merge(b).Merge(c), a.Merge(b.Merge(c))},
			"idempotent":  {a.Merge(b).Merge(b), a.Merge(b)},
			"itself":      {a.Merge(a), a},
		} {
			if diff := cmp.Diff(pair[0].All(), pair[1].All()); diff != "" {
				t.Errorf("not %s: %s", name, diff)
			}
		}
		merged := a.Merge(b)
		for _, o := range append(a.All(), b.All()...) {
			found := false
			for _, m := range merged.All() {
				found = found || m.Target == o.Target && m.Compare(o) >= 0
			}
			if !found {
				t.Errorf("%+v is lost in %+v", o, merged.All())
			}
		}
	})
}

func sets() *rapid.Generator[override.Set] {
	one := rapid.Custom(func(t *rapid.T) override.Override {
		o := override.Override{
			Target: override.Target{
				Service: rapid.SampledFrom([]string{"", "mysql"}).Draw(t, "service"), Server: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "server"),
			},
			Kind:   rapid.SampledFrom([]override.Kind{override.Enable, override.Drain, override.Disable, override.Weight}).Draw(t, "kind"),
			Author: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "author"),
			Since:  noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "since")) * time.Second),
			Clock:  override.Clock{Time: rapid.Int64Range(0, 2).Draw(t, "time"), Node: rapid.SampledFrom([]string{"m", "b"}).Draw(t, "node")},
		}
		if o.Kind == override.Weight {
			o.Weight = rapid.IntRange(1, 3).Draw(t, "weight")
		}
		return o
	})
	return rapid.Map(rapid.SliceOfN(one, 0, 6), override.SetOf)
}
