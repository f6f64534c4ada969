package lvs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	up   = Condition{Known: true, Up: true}
	down = Condition{Known: true}
	full = Condition{Known: true, Up: true, Full: true}
)

func closing(c Condition) Condition {
	c.Decision.Admission = Closing
	return c
}

func reserve(c Condition) Condition {
	c.Reserve = true
	return c
}

func removed(c Condition) Condition {
	c.Decision.Admission = TakenOut
	return c
}

func cutOff(c Condition) Condition {
	c.Decision.Admission = CutOff
	return c
}

// TestWeightOfACondition: an operator's weight counts more than that of a check, which counts more than the configured one.
func TestWeightOfACondition(t *testing.T) {
	checked := Condition{Known: true, Up: true, Weighted: true, Weight: 5}
	decided := checked
	decided.Decision.Weight = 7
	for want, c := range map[int]Condition{3: up, 5: checked, 7: decided} {
		if got := c.Whole(3); got != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	in := func(weight int) Entry { return Entry{Present: true, Weight: weight} }
	out := Entry{}
	for _, tt := range []struct {
		name string
		pool []Member
		want []Entry
	}{
		{"empty pool", nil, []Entry{}},
		{"up: configured weight", []Member{{Weight: 3, Condition: up}, {Weight: 1, Condition: up}}, []Entry{in(3), in(1)}},
		{"down: absent", []Member{{Weight: 3, Condition: down}, {Weight: 1, Condition: up}}, []Entry{out, in(1)}},
		{"all down: empty", []Member{{Weight: 3, Condition: down}, {Weight: 1, Condition: down}}, []Entry{out, out}},
		{"down beats found and initial_state", []Member{{Weight: 3, Condition: down, Found: true, FoundWeight: 3, InitialUp: true}}, []Entry{out}},
		{"down beats full", []Member{{Weight: 3, Condition: Condition{Known: true, Full: true}}}, []Entry{out}},

		{"down, but stays: weight 0", []Member{{Weight: 3, Condition: down, Stays: true}, {Weight: 1, Condition: up, Stays: true}}, []Entry{in(0), in(1)}},
		{"nothing known, and stays: weight 0", []Member{{Weight: 3, Stays: true}}, []Entry{in(0)}},
		{"all down, and stay", []Member{{Weight: 3, Condition: down, Stays: true}, {Weight: 1, Condition: down, Stays: true}}, []Entry{in(0), in(0)}},
		{"nothing known: absent", []Member{{Weight: 3}}, []Entry{out}},
		{"nothing known, initial_state up", []Member{{Weight: 3, InitialUp: true}}, []Entry{in(3)}},
		{"nothing known, found: the file's weight counts", []Member{{Weight: 3, Found: true, FoundWeight: 7}}, []Entry{in(3)}},
		{"nothing known, found with 0", []Member{{Weight: 3, Found: true}, {Weight: 1, Found: true, FoundWeight: 1}}, []Entry{in(0), in(1)}},
		{"nothing known, all found with 0", []Member{{Weight: 3, Found: true}, {Weight: 1, Found: true}}, []Entry{in(3), in(1)}},
		{"nothing known, one found of two", []Member{{Weight: 3, Found: true, FoundWeight: 3}, {Weight: 1}}, []Entry{in(3), out}},
		{"unknown: up and full mean nothing", []Member{{Weight: 3, Condition: Condition{Up: true, Full: true}}}, []Entry{out}},

		{"full while another takes", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: up}}, []Entry{in(0), in(1)}},
		{"full while an unknown takes", []Member{{Weight: 3, Condition: full}, {Weight: 1, Found: true, FoundWeight: 1}}, []Entry{in(0), in(1)}},
		{"full, the other down", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: down}}, []Entry{in(3), out}},
		{"full, the other has weight 0", []Member{{Weight: 3, Condition: full}, {Weight: 0, Condition: up}}, []Entry{in(3), in(0)}},
		{"all full", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: full}}, []Entry{in(3), in(1)}},
		{"two full, one takes", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: full}, {Weight: 2, Condition: up}}, []Entry{in(0), in(0), in(2)}},

		{"closing: weight 0", []Member{{Weight: 3, Condition: closing(up)}, {Weight: 1, Condition: up}}, []Entry{in(0), in(1)}},
		{"closing, and alone", []Member{{Weight: 3, Condition: closing(up)}}, []Entry{in(0)}},
		{"closing, and in reserve", []Member{{Weight: 3, Condition: reserve(closing(up))}, {Weight: 1, Condition: up}}, []Entry{in(0), in(1)}},
		{"closing, found, and in reserve", []Member{{Weight: 3, Condition: reserve(closing(Condition{})), Found: true}}, []Entry{in(0)}},
		{"cut off, and in reserve", []Member{{Weight: 3, Condition: reserve(cutOff(up))}}, []Entry{out}},
		{"in reserve", []Member{{Weight: 3, Condition: reserve(up)}, {Weight: 1, Condition: reserve(up), Inhibit: true}}, []Entry{out, in(0)}},
		{"closing and down", []Member{{Weight: 3, Condition: closing(down)}}, []Entry{out}},
		{"closing, and found", []Member{{Weight: 3, Condition: closing(Condition{}), Found: true, FoundWeight: 3}}, []Entry{in(0)}},
		{"closing, and not found", []Member{{Weight: 3, Condition: closing(Condition{})}}, []Entry{out}},
		{"one is full, the other closing", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: closing(up)}}, []Entry{in(3), in(0)}},
		{"removed: absent", []Member{{Weight: 3, Condition: removed(up)}, {Weight: 1, Condition: up}}, []Entry{out, in(1)}},
		{"removed, but stays", []Member{{Weight: 3, Condition: removed(up), Stays: true}}, []Entry{in(0)}},
		{"cut off, though it stays", []Member{{Weight: 3, Condition: cutOff(up), Stays: true}, {Weight: 1, Condition: up, Stays: true}}, []Entry{out, in(1)}},
		{"cut off and down, though it stays", []Member{{Weight: 3, Condition: cutOff(down), Stays: true}}, []Entry{out}},
		{"cut off: absent", []Member{{Weight: 3, Condition: cutOff(Condition{}), Found: true, FoundWeight: 3, InitialUp: true}}, []Entry{out}},
		{"removed, and found", []Member{{Weight: 3, Condition: removed(Condition{}), Found: true, FoundWeight: 3, InitialUp: true}}, []Entry{out}},
		{"one is full, the other removed", []Member{{Weight: 3, Condition: full}, {Weight: 1, Condition: removed(up)}}, []Entry{in(3), out}},

		{"weight 0 is present", []Member{{Weight: 0, Condition: up}}, []Entry{in(0)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Entries(tt.pool)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// If a server of a pool may get connections, at least one does.
func TestPlacesNeverTheLastOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Member {
			return Member{
				Weight:      rapid.IntRange(0, 2).Draw(t, "weight"),
				Condition:   Condition{Known: rapid.Bool().Draw(t, "known"), Up: rapid.Bool().Draw(t, "up"), Full: rapid.Bool().Draw(t, "full")},
				InitialUp:   rapid.Bool().Draw(t, "initial"),
				Found:       rapid.Bool().Draw(t, "found"),
				FoundWeight: rapid.IntRange(0, 1).Draw(t, "foundWeight"),
			}
		}), 0, 4).Draw(t, "pool")
		may, does := false, false
		for i, p := range Entries(pool) {
			known := pool[i].Condition.Known
			if p.Present != (known && pool[i].Condition.Up || !known && (pool[i].Found || pool[i].InitialUp)) {
				t.Fatalf("member %d: present = %v", i, p.Present)
			}
			if p.Weight != 0 && p.Weight != pool[i].Weight {
				t.Fatalf("member %d: weight %d is neither 0 nor the configured one", i, p.Weight)
			}
			may = may || p.Present && pool[i].Weight > 0
			does = does || p.Weight > 0
		}
		if may != does {
			t.Fatalf("may take connections: %v, does: %v", may, does)
		}
	})
}
