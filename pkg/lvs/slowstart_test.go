package lvs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func TestPartAfter(t *testing.T) {
	for _, tt := range []struct {
		elapsed, total time.Duration
		weight, want   int
		next           time.Duration
	}{
		{0, 30 * time.Second, 100, 1, 1500 * time.Millisecond},
		{1499 * time.Millisecond, 30 * time.Second, 100, 1, 1500 * time.Millisecond},
		{1500 * time.Millisecond, 30 * time.Second, 100, 5, 3 * time.Second},
		{15 * time.Second, 30 * time.Second, 100, 50, 16500 * time.Millisecond},
		{29 * time.Second, 30 * time.Second, 100, 95, 30 * time.Second},
		{30 * time.Second, 30 * time.Second, 100, 100, 0},
		{time.Hour, 30 * time.Second, 100, 100, 0},
		{5 * time.Second, 10 * time.Second, 3, 1, 6 * time.Second}, // a step is a second at least
		{7 * time.Second, 10 * time.Second, 3, 2, 8 * time.Second},
		{0, time.Second, 100, 1, time.Second},
		{2500 * time.Millisecond, 2500 * time.Millisecond, 100, 100, 0},
		{time.Second, 30 * time.Second, 0, 0, 1500 * time.Millisecond}, // drained
		{-time.Second, 30 * time.Second, 100, 1, 1500 * time.Millisecond},
	} {
		part, next := partAfter(tt.elapsed, tt.total)
		if got := part.Of(tt.weight); got != tt.want || next != tt.next {
			t.Errorf("%s of %s: %d of %d, next at %s; want %d, %s", tt.elapsed, tt.total, got, tt.weight, next, tt.want, tt.next)
		}
	}
}

// TestPartRises: a weight never falls during a slow start, is never 0 and at the end exactly the whole; it changes only at the announced
// times, which are at least a second apart, and at most 20.
func TestPartRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "total"))
		whole := rapid.IntRange(1, 65535).Draw(t, "weight")
		last, at, steps := 0, time.Duration(0), 0
		for {
			part, next := partAfter(at, total)
			weight := part.Of(whole)
			if weight < 1 || weight < last || weight > whole {
				t.Fatalf("%d after %d, of %d", weight, last, whole)
			}
			if next == 0 {
				if weight != whole || at != total {
					t.Fatalf("it ends after %s of %s with %d of %d", at, total, weight, whole)
				}
				break
			}
			if steps++; next-at < min(time.Second, total) || steps > 20 {
				t.Fatalf("step %d from %s to %s", steps, at, next)
			}
			between := at + time.Duration(rapid.Int64Range(0, int64(next-at)-1).Draw(t, "between"))
			if same, _ := partAfter(between, total); same != part {
				t.Fatalf("%+v at %s and %+v at %s", part, at, same, between)
			}
			// What is found in a table is taken for no later a step, and no smaller weight.
			if again, _ := partAfter(elapsedAt(weight, whole, total), total); again.Of(whole) != weight {
				t.Fatalf("found with %d of %d, and goes on with %d", weight, whole, again.Of(whole))
			}
			last, at = weight, next
		}
	})
}

// slow is a pool with slow starts of 10 s: two real servers with the weight 100, a standby and a sorry server with 1.
func slow() config.VirtualServer {
	v := config.VirtualServer{
		Name: "db", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Scheduler: "wrr", SlowStart: 10 * time.Second,
	}
	for i, role := range []config.Role{config.Regular, config.Regular, config.Standby, config.Sorry} {
		r := config.RealServer{Name: fmt.Sprint(i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Port: 3306, Weight: 100, Role: role}
		v.RealServers = append(v.RealServers, r)
	}
	return v
}

// started describes slow starts: "whole", "away", or the weight of 100.
func started(v config.VirtualServer, s Starts) string {
	var all []string
	for _, r := range v.RealServers {
		switch start := s.StartOf(v, r); {
		case start.Away:
			all = append(all, "away")
		case start.Part != (Part{}):
			all = append(all, fmt.Sprint(start.Part.Of(100)))
		default:
			all = append(all, "whole")
		}
	}
	return strings.Join(all, " ")
}

func TestStarts(t *testing.T) {
	unknown, drained, kept, reserved := Condition{}, closing(up), down, up
	kept.Kept, reserved.Reserve = true, true
	type step struct {
		after time.Duration
		all   [4]Condition
		want  string
	}
	for name, steps := range map[string][]step{
		"the first pool has its whole weight": {
			{0, [4]Condition{}, "whole whole whole whole"},
			{time.Second, [4]Condition{up, unknown, up, up}, "whole whole whole whole"},
			{time.Minute, [4]Condition{up, up, up, up}, "whole whole whole whole"},
		},
		"returns": {
			{0, [4]Condition{up, down, up, up}, "whole away whole whole"},
			{time.Second, [4]Condition{up, up, up, up}, "whole 1 whole whole"},
			{5 * time.Second, [4]Condition{up, up, up, up}, "whole 50 whole whole"},
			{5 * time.Second, [4]Condition{up, up, up, up}, "whole whole whole whole"},
		},
		"fails again": {
			{0, [4]Condition{up, down, up, up}, "whole away whole whole"},
			{0, [4]Condition{up, up, up, up}, "whole 1 whole whole"},
			{5 * time.Second, [4]Condition{up, down, up, up}, "whole away whole whole"},
			{time.Second, [4]Condition{up, up, up, up}, "whole 1 whole whole"},
		},
		"both return": {
			{0, [4]Condition{down, down, down, up}, "away away away whole"},
			{time.Second, [4]Condition{up, down, down, up}, "1 away away whole"},
			{2 * time.Second, [4]Condition{up, up, down, up}, "20 1 away whole"},
			{2 * time.Second, [4]Condition{up, up, down, up}, "40 20 away whole"},
		},
		"was drained": {
			{0, [4]Condition{up, drained, up, up}, "whole away whole whole"},
			{time.Hour, [4]Condition{up, up, up, up}, "whole 1 whole whole"},
		},
		"had the weight 0 by its check": {
			{0, [4]Condition{up, weighted(0), up, up}, "whole away whole whole"},
			{0, [4]Condition{up, weighted(50), up, up}, "whole 1 whole whole"},
		},
		"full, kept, in reserve, unknown": {
			{0, [4]Condition{up, full, reserved, reserved}, "whole whole whole whole"},
			{0, [4]Condition{up, kept, reserved, reserved}, "whole whole whole whole"},
			{0, [4]Condition{up, unknown, up, up}, "whole whole whole whole"},
			{0, [4]Condition{up, up, up, up}, "whole whole whole whole"},
		},
		"nothing is known for a moment": {
			{0, [4]Condition{up, down, up, up}, "whole away whole whole"},
			{0, [4]Condition{up, unknown, up, up}, "whole away whole whole"},
			{0, [4]Condition{up, up, up, up}, "whole 1 whole whole"},
			{2 * time.Second, [4]Condition{up, unknown, up, up}, "whole 20 whole whole"},
		},
		"a sorry server never": {
			{0, [4]Condition{up, up, up, down}, "whole whole whole whole"},
			{0, [4]Condition{up, up, up, up}, "whole whole whole whole"},
		},
	} {
		v, now := slow(), time.Unix(1000, 0)
		s := BeginStarts(v, conditionsOf(steps[0].all[:]...), nil, false, now)
		for n, step := range steps {
			now = now.Add(step.after)
			s, _ = s.Next(v, conditionsOf(step.all[:]...), now)
			if got := started(v, s); got != step.want {
				t.Errorf("%s, step %d: %s, want %s", name, n+1, got, step.want)
			}
		}
	}
}

// TestStartsReloaded: another duration, more ports, and an unchanged pool.
func TestStartsReloaded(t *testing.T) {
	v, now := slow(), time.Unix(1000, 0)
	all := conditionsOf(up, up, up, up)
	s, _ := BeginStarts(v, conditionsOf(up, down, up, up), nil, false, now).Next(v, conditionsOf(up, down, up, up), now)
	s, _ = s.Next(v, all, now)
	now = now.Add(5 * time.Second)
	if s, _ = s.Next(v, all, now); started(v, s) != "whole 50 whole whole" {
		t.Fatal(started(v, s))
	}
	for _, total := range []time.Duration{20 * time.Second, 100 * time.Second, 10 * time.Second} {
		v.SlowStart = total
		if s, _ = s.Next(v, all, now); started(v, s) != "whole 50 whole whole" {
			t.Errorf("%s: %s", total, started(v, s))
		}
	}
	v.Ports = []uint16{3306, 3307}
	for i := range v.RealServers {
		v.RealServers[i].Port = 0
	}
	if s, _ = s.Next(v, all, now); started(v, s) != "whole 50 whole whole" {
		t.Errorf("with more ports: %s", started(v, s))
	}
	if n := testing.AllocsPerRun(10, func() { s.Next(v, all, now) }); n != 0 {
		t.Errorf("%v allocations when nothing changes", n)
	}
	v.RealServers = v.RealServers[1:]
	if s, _ = s.Next(v, all, now); started(v, s) != "50 whole whole" || len(s) != 3 {
		t.Errorf("with fewer servers: %s of %d", started(v, s), len(s))
	}
}

// TestStartsBegin: what a pool has in the table when nothing is remembered about it, also of a director that was killed, and what a reload
// adds to it.
func TestStartsBegin(t *testing.T) {
	found := func(weights ...int) map[Key]Service {
		v := slow()
		s := Service{Key: KeyOf(v), Scheduler: "wrr"}
		for i, w := range weights {
			if w >= 0 {
				s.Servers = append(s.Servers, Server{Address: v.RealServers[i].Address, Port: 3306, Weight: w})
			}
		}
		return map[Key]Service{s.Key: s}
	}
	operator := up
	operator.Decision.Weight = 20
	for _, tt := range []struct {
		name   string
		found  map[Key]Service
		killed bool
		second Condition
		want   string
	}{
		{"no table", nil, true, up, "whole whole whole whole"},
		{"all there", found(100, 100), true, up, "whole whole whole whole"},
		{"one is absent", found(100), true, up, "whole 1 whole whole"},
		{"one has the weight 0", found(100, 0), true, up, "whole 1 whole whole"},
		{"in a slow start", found(100, 30), true, up, "whole 30 whole whole"},
		{"in a slow start, and nothing known", found(100, 30), true, Condition{}, "whole 30 whole whole"},
		{"at the begin of a slow start", found(100, 1), true, up, "whole 1 whole whole"},
		{"between two steps", found(100, 33), true, up, "whole 40 whole whole"},
		{"an operator's weight", found(100, 20), true, operator, "whole whole whole whole"},
		{"a part of an operator's weight", found(100, 4), true, operator, "whole 20 whole whole"},
		{"all have less: the file was changed", found(1, 1), true, up, "whole whole whole whole"},
		{"less, by the file before", found(100, 30), false, up, "whole whole whole whole"},
		{"absent in the file before", found(100), false, up, "whole 1 whole whole"},
		{"full in the file before", found(100, 0), false, full, "whole whole whole whole"},
		{"drained in the file before", found(100, 0), false, closing(up), "whole away whole whole"},
	} {
		v, now := slow(), time.Unix(1000, 0)
		condition := conditionsOf(up, tt.second, up, up)
		s, _ := BeginStarts(v, condition, tt.found, tt.killed, now).Next(v, condition, now)
		if got := started(v, s); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	v, now := slow(), time.Unix(1000, 0)
	s, _ := BeginStarts(v, conditionsOf(up, up, up, up), nil, false, now).Next(v, conditionsOf(up, up, up, up), now)
	v.RealServers = append(v.RealServers, config.RealServer{Name: "4", Address: netip.MustParseAddr("10.77.0.15"), Port: 3306, Weight: 100})
	s, _ = s.Next(v, conditionsOf(up, up, up, up, Condition{}), now)
	s, due := s.Next(v, conditionsOf(up, up, up, up, up), now)
	if got := started(v, s); got != "whole whole whole whole 1" || !due.Equal(now.Add(time.Second)) {
		t.Errorf("a server is added: %s, next step at %s", got, due)
	}
	checked := slow()
	checked.RealServers[1].Checks = []config.Check{{Kind: config.FileCheck{SetsWeight: true}}}
	s = BeginStarts(checked, conditionsOf(up, up, up, up), found(100, 30), true, now)
	if got := started(checked, s); got != "whole whole whole whole" {
		t.Errorf("a weight that may be a check's: %s", got)
	}
}

// drawWeights draws a table of a pool, or none.
func drawWeights(t *rapid.T, v config.VirtualServer) map[Key]Service {
	if rapid.Bool().Draw(t, "new") {
		return nil
	}
	s := Service{Key: KeyOf(v)}
	for _, r := range v.RealServers {
		if weight := rapid.SampledFrom([]int{-1, 0, 1, 50, 100}).Draw(t, "found"); weight >= 0 {
			s.Servers = append(s.Servers, Server{Address: r.Address, Port: r.Port, Weight: weight})
		}
	}
	return map[Key]Service{s.Key: s}
}

// TestSlowStartsNeverEmptyAPool: after any history, a server takes connections exactly if it would without slow starts, with no more than
// that weight; nothing changes without a change; and when nothing happens for as long as a slow start lasts, all have their whole weight.
func TestSlowStartsNeverEmptyAPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, now := slow(), time.Unix(1000, 0)
		v.InitialUp = rapid.Bool().Draw(t, "initial")
		all := make([]Condition, len(v.RealServers))
		s := BeginStarts(v, conditionsOf(all...), drawWeights(t, v), rapid.Bool().Draw(t, "killed"), now)
		m := Memory{}
		reserved := func(id config.ServerID) Condition {
			return m.Apply(v.RealServers[id.Server[0]-'0'], conditionsOf(all...)(id))
		}
		entries := func(slowly bool) []Server {
			condition := reserved
			if slowly {
				condition = func(id config.ServerID) Condition {
					c := reserved(id)
					c.Part = s.StartOf(v, v.RealServers[id.Server[0]-'0']).Part
					return c
				}
			}
			return Desired([]config.VirtualServer{v}, condition, nil)[0].Servers
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			c := rapid.SampledFrom([]Condition{{}, up, up, down, full, weighted(0), weighted(5)}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Admitted, Closing, CutOff}).Draw(t, "admission")
			all[rapid.IntRange(0, len(all)-1).Draw(t, "server")] = c
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			m = m.Next(v, conditionsOf(all...))
			s, _ = s.Next(v, reserved, now)
			if again, _ := s.Next(v, reserved, now); !again.Equal(s) {
				t.Fatalf("%v, and then %v", s, again)
			}
			slowly, whole := entries(true), entries(false)
			for i, e := range slowly {
				if e.TakesConnections() != whole[i].TakesConnections() || e.Weight > whole[i].Weight {
					t.Fatalf("%+v, and without slow starts %+v", e, whole[i])
				}
			}
		}
		s, due := s.Next(v, reserved, now.Add(v.SlowStart))
		if slowly, whole := entries(true), entries(false); !due.IsZero() || fmt.Sprint(slowly) != fmt.Sprint(whole) {
			t.Fatalf("they do not end: next step at %s: %v, want %v", due, slowly, whole)
		}
	})
}
