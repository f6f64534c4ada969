package suite

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCapacity(t *testing.T) {
	for _, tt := range []struct{ cpus, memory, perGuest, want int }{
		{1, 8000, 2048, 1},
		{2, 8000, 2048, 2},
		{64, 4096, 2048, 2},
		{64, 3900, 2048, 1},
		{2, 500, 2048, 1}, // it may still fit, and without a guest nothing would run
		{8, 0, 2048, 1},   // unknown
		{8, 100000, 0, 8},
	} {
		if got := Capacity(tt.cpus, tt.memory, tt.perGuest); got != tt.want {
			t.Errorf("Capacity(%d, %d, %d) = %d, want %d", tt.cpus, tt.memory, tt.perGuest, got, tt.want)
		}
	}
}

func job(name string, seconds int, traits ...string) Job {
	j := Job{Name: name, Kernel: UML, Expected: time.Duration(seconds) * time.Second}
	for _, trait := range traits {
		if trait == "exclusive" {
			j.Exclusive = true
		} else {
			j.Kernel = trait
		}
	}
	return j
}

// order returns the names of jobs in the order in which one guest at a time runs them; | is a boot.
func order(jobs ...Job) string {
	q, g := NewQueue(jobs), Guest{}
	var b strings.Builder
	for {
		j, boot, ok := q.Next(g)
		if !ok {
			return b.String()
		}
		if boot {
			b.WriteString("|")
		}
		b.WriteString(j.Name)
		g = Guest{j.Kernel, true}
		if j.Exclusive {
			g = Guest{}
		}
	}
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		jobs       []Job
	}{
		{"the longest first", "|cba", []Job{job("a", 1), job("b", 2), job("c", 3)}},
		{"unknown durations first", "|bcxa", []Job{job("a", 1), job("b", 0), job("c", 0), job("x", 9)}},
		{"the given order for equal durations", "|abc", []Job{job("a", 1), job("b", 1), job("c", 1)}},
		{"a separate boot for each exclusive one", "|a|x|y|b", []Job{job("b", 1), job("x", 30, "exclusive"), job("a", 60), job("y", 20, "exclusive")}},
		{"no boot for one second", "|cba|x", []Job{job("b", 21), job("x", 22, "exclusive"), job("a", 21), job("c", 40)}},
		{"one kernel after the other", "|dec|xyz", []Job{job("x", 22), job("d", 40, Debian), job("y", 12), job("e", 30, Debian), job("z", 2), job("c", 21, Debian)}},
		{"a long one is worth a boot", "|x|dey", []Job{job("x", 60), job("y", 1, Debian), job("d", 50, Debian), job("e", 40, Debian)}},
	} {
		if got := order(tt.jobs...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestEveryJobRunsOnceWhereItMay: in whatever order guests take jobs, each job runs once, in a suitable guest.
func TestEveryJobRunsOnceWhereItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var jobs []Job
		for i := range rapid.IntRange(0, 12).Draw(t, "jobs") {
			j := job(string(rune('a'+i)), rapid.IntRange(0, 40).Draw(t, "seconds"))
			j.Kernel = rapid.SampledFrom([]string{UML, Debian}).Draw(t, "kernel")
			j.Exclusive = rapid.Bool().Draw(t, "exclusive")
			jobs = append(jobs, j)
		}
		q, guests := NewQueue(jobs), make([]Guest, rapid.IntRange(1, 3).Draw(t, "guests"))
		var ran []string
		for {
			g := &guests[rapid.IntRange(0, len(guests)-1).Draw(t, "who")]
			j, boot, ok := q.Next(*g)
			if !ok {
				break
			}
			if boot {
				*g = Guest{Kernel: j.Kernel}
			}
			if g.Kernel != j.Kernel || j.Exclusive && g.Used {
				t.Fatalf("%+v in %+v", j, *g)
			}
			g.Used = true
			ran = append(ran, j.Name)
			if j.Exclusive || rapid.Bool().Draw(t, "dies") {
				*g = Guest{}
			}
		}
		slices.Sort(ran)
		if len(ran) != len(jobs) || len(slices.Compact(ran)) != len(jobs) || len(q.Pending()) != 0 {
			t.Fatalf("%d jobs, ran %v, pending %v", len(jobs), ran, q.Pending())
		}
	})
}

func TestForms(t *testing.T) {
	daily, long, rest, second := Form{Short: true}, Form{}, Form{LongOnly: true}, Form{Short: true, Second: true}
	for _, tt := range []struct {
		s                         Scenario
		daily, long, rest, second bool
	}{
		{Scenario{}, true, true, false, false},
		{Scenario{Long: true}, false, true, true, false},
		{Scenario{Long: true, Release: true}, false, true, false, false},
		{Scenario{Longer: true}, true, true, true, false},
		{Scenario{Kernel: Debian}, true, true, false, true},
		{Scenario{AnyKernel: true}, true, true, false, true},
		{Scenario{AnyKernel: true, Long: true}, false, true, true, false},
		{Scenario{Bench: true}, false, false, false, false},
	} {
		for _, one := range []struct {
			f    Form
			want bool
		}{{daily, tt.daily}, {long, tt.long}, {rest, tt.rest}, {second, tt.second}} {
			if one.f.Runs(tt.s) != one.want {
				t.Errorf("%+v in %+v: %v, want %v", tt.s, one.f, !one.want, one.want)
			}
		}
	}
}

func TestJobs(t *testing.T) {
	p := Program{"/bin/e2e.test", "/src/e2e"}
	f := Form{Short: true}
	f.Select("TestA|TestB/one/two")
	d := Durations{"e2e.test TestA daily uml": time.Second, "e2e.test TestA long uml": time.Minute}
	j := f.Job(p, Scenario{Name: "TestA", Kernel: UML, Exclusive: true}, d)
	if got := strings.Join(j.Args, " "); got != "-test.v=true -test.run=^TestA$/one/two -test.short=true" || !j.Exclusive || j.Expected != time.Second {
		t.Errorf("%+v", j)
	}
	f = Form{}
	if j := f.Job(p, Scenario{Name: "TestA", Kernel: UML}, d); strings.Join(j.Args, " ") != "-test.v=true -test.run=^TestA$" || j.Expected != time.Minute {
		t.Errorf("%+v", j)
	}
	if j := f.Whole(p, "pkg/x", d); strings.Join(j.Args, " ") != "-test.v=true" || !j.Exclusive || j.Scenario != nil {
		t.Errorf("%+v", j)
	}
}

func TestDurations(t *testing.T) {
	d := Durations{"b": 1500 * time.Millisecond, "a": time.Minute}
	data, err := d.Encode()
	if err != nil || string(data) != "{\n \"a\": 60,\n \"b\": 1.5\n}" {
		t.Errorf("%s, %v", data, err)
	}
	if got, err := ParseDurations(data); err != nil || len(got) != 2 || got["b"] != d["b"] || got["a"] != d["a"] {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ParseDurations([]byte(`{"x": -1, "y": 1e300, "z": 1}`)); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "[]", `{"a": "1"}`} {
		if _, err := ParseDurations([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
