package priority_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/priority"
)

var (
	unknown = priority.Result{}
	up      = priority.Result{Known: true, Up: true}
	down    = priority.Result{Known: true}
)

func number(n int) priority.Result { return priority.Result{Known: true, Up: n == 0, Value: n} }

// TestEffects: keepalived's rules, from its source and keepalived.conf(5).
func TestEffects(t *testing.T) {
	fault, points := priority.Effect{Fault: true}, func(n int) priority.Effect { return priority.Effect{Points: n} }
	none := priority.Effect{}
	for _, tt := range []struct {
		weight             int
		reverse            bool
		unknown, up, down_ priority.Effect
	}{
		{0, false, none, none, fault},
		{0, true, none, fault, none},
		{20, false, none, points(20), none},
		{20, true, none, points(-20), none},
		{-20, false, none, none, points(-20)},
		{-20, true, none, none, points(20)},
	} {
		use := config.TrackUse{Name: "t", Weight: tt.weight, Reverse: tt.reverse}
		for r, want := range map[priority.Result]priority.Effect{unknown: tt.unknown, up: tt.up, down: tt.down_} {
			if got := priority.Of(use, config.MySQL, false, r); got != want {
				t.Errorf("weight %d, reverse %t, %+v: %+v, want %+v", tt.weight, tt.reverse, r, got, want)
			}
			if want == fault {
				want = priority.Effect{Shut: true}
			}
			if got := priority.Of(use, config.MySQL, true, r); got != want {
				t.Errorf("gate, weight %d, reverse %t, %+v: %+v, want %+v", tt.weight, tt.reverse, r, got, want)
			}
		}
	}
	for _, tt := range []struct {
		weight  int
		reverse bool
		number  int
		want    priority.Effect
	}{
		{0, false, 0, none},
		{0, false, 1, fault},
		{0, false, -1, fault},
		{0, true, 0, fault},
		{0, true, 7, none},
		{1, false, -20, points(-20)},
		{1, true, -20, points(20)},
		{2, false, 10, points(20)},
		{-2, false, 10, points(-20)},
		{1, false, -253, points(-253)},
		{1, false, -254, fault},
		{-253, false, 254, fault},
		{253, false, 254, points(253)},
	} {
		use := config.TrackUse{Name: "t", Weight: tt.weight, Reverse: tt.reverse}
		if got := priority.Of(use, config.File, false, number(tt.number)); got != tt.want {
			t.Errorf("weight %d, reverse %t, a file with %d: %+v, want %+v", tt.weight, tt.reverse, tt.number, got, tt.want)
		}
	}
}

// TestEffective: the effective priority is never 0, never that of an owner by tracks, and the owner's never changes. It
// does not decrease if a track with an ordinary weight comes up.
func TestEffective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configured := rapid.Uint8Range(1, 255).Draw(t, "priority")
		uses := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) config.TrackUse {
			return config.TrackUse{Weight: rapid.IntRange(-253, 253).Draw(t, "weight"), Reverse: rapid.Bool().Draw(t, "reverse")}
		}), 1, 6).Draw(t, "tracks")
		results := make([]priority.Result, len(uses))
		for i := range results {
			results[i] = rapid.SampledFrom([]priority.Result{unknown, up, down}).Draw(t, "result")
		}
		sum := func() int {
			n := 0
			for i, u := range uses {
				n += priority.Of(u, config.TCP, false, results[i]).Points
			}
			return n
		}
		before := priority.Effective(configured, sum())
		switch {
		case configured == priority.Owner && before != priority.Owner:
			t.Fatalf("an owner has %d", before)
		case configured != priority.Owner && (before < 1 || before > 254):
			t.Fatalf("%d", before)
		}
		i := rapid.IntRange(0, len(uses)-1).Draw(t, "which")
		was := results[i]
		results[i] = up
		after := priority.Effective(configured, sum())
		if was == down && (!uses[i].Reverse && after < before || uses[i].Reverse && after > before) {
			t.Fatalf("%+v comes up: %d becomes %d", uses[i], before, after)
		}
	})
}
