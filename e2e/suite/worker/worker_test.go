package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet returns a worker that sees nothing left behind.
func quiet() worker { return worker{inspect: func() (state, error) { return state{}, nil }} }

// answers has a worker perform orders and returns its messages.
func answers(t *testing.T, w worker, orders ...suite.Order) (all []suite.Message, err error) {
	t.Helper()
	var in, out bytes.Buffer
	for _, o := range orders {
		if err := json.NewEncoder(&in).Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	err = w.run(&in, &out)
	for d := json.NewDecoder(&out); d.More(); {
		var m suite.Message
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all, err
}

// text returns the content of the messages, without durations.
func text(all []suite.Message) string {
	var b strings.Builder
	for _, m := range all {
		switch {
		case m.Ready:
			b.WriteString("ready\n")
		case m.Ended != nil:
			fmt.Fprintf(&b, "ended %d overtime=%v %v %s\n", m.Ended.Code, m.Ended.Overtime, m.Ended.Left, m.Ended.Error)
		default:
			b.Write(m.Output)
		}
	}
	return b.String()
}

func shell(script string) suite.Order {
	return suite.Order{Binary: "/bin/sh", Dir: "/", Args: []string{"-c", script}, Limit: time.Minute}
}

func TestOrders(t *testing.T) {
	all, err := answers(t, quiet(), shell("pwd; echo problem >&2; exit 3"), shell("kill -9 $$"), shell(`stat -c %a "$TMPDIR" && touch $TMPDIR/x`))
	const want = "ready\n/\nproblem\nended 3 overtime=false [] \nended 137 overtime=false [] \n1777\nended 0 overtime=false [] \n"
	if got := text(all); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// TestOvertime: a process that hangs gets SIGQUIT, which makes Go programs print their goroutines.
func TestOvertime(t *testing.T) {
	o := shell("while :; do sleep 0.05; done")
	o.Limit = 100 * time.Millisecond
	all, err := answers(t, quiet(), o)
	if got := text(all); err != nil || got != "ready\nended 131 overtime=true [] \n" {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestWorkerError(t *testing.T) {
	all, err := answers(t, quiet(), suite.Order{Binary: "/no/such", Dir: "/", Limit: time.Minute}, shell("echo never"))
	if got := text(all); err == nil || !strings.HasPrefix(got, "ready\nended -1 overtime=false [] start /no/such: ") || strings.Contains(got, "never") {
		t.Errorf("%v\n%s", err, got)
	}
	if all, err := answers(t, worker{inspect: func() (state, error) { return state{}, fmt.Errorf("no /proc") }}, shell("echo never")); err == nil || !strings.Contains(text(all), "inspect the guest: no /proc") {
		t.Errorf("%v\n%s", err, text(all))
	}
}

// TestLeft: a process that exits soon is not reported; what remains is.
func TestLeft(t *testing.T) {
	inspections := 0
	w := worker{grace: time.Minute, inspect: func() (state, error) {
		inspections++
		s := state{processes: map[int]string{1: "init"}, modules: map[string]bool{"veth": true}}
		if inspections == 2 || inspections == 3 {
			s.processes[7] = "about to exit"
		}
		return s, nil
	}}
	if all, err := answers(t, w, shell("true")); err != nil || text(all) != "ready\nended 0 overtime=false [] \n" || inspections != 4 {
		t.Errorf("%v, after %d inspections\n%s", err, inspections, text(all))
	}
	before := state{map[int]string{1: "init"}, map[string]int{"/": 1, "/x": 1}, map[string]bool{"veth": true}}
	now := state{map[int]string{1: "init", 9: "sleep 1000"}, map[string]int{"/": 1, "/x": 2, "/run/netns/a": 1}, map[string]bool{"dummy": true}}
	if got := strings.Join(difference(before, now), "; "); got != "mount /run/netns/a; mount /x; process 9 (sleep 1000); removed module veth" {
		t.Error(got)
	}
	for _, exclusive := range []bool{false, true} {
		left, err := quiet().leftSince(state{modules: map[string]bool{"veth": true}}, exclusive)
		if err != nil || (len(left) == 0) != exclusive {
			t.Errorf("exclusive %v: %v, %v", exclusive, left, err)
		}
	}
}

func TestProgram(t *testing.T) {
	for stat, want := range map[string]bool{
		"700 (sleep) S 1 700 700 0 -1 4194304 93 0 0": true,
		"700 (a) b) R 1 700 700 0 -1 4194304 93 0 0":  true,
		"700 (sleep) Z 1 700 700 0 -1 4194304 93 0 0": false,
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0":     false,
		"81 (bpfilter_umh) S 2 0 0 0 -1 4194560 0 0":  false,
		"": false, "700": false, "700 (x) S 1": false,
	} {
		if got := program(stat); got != want {
			t.Errorf("%q: %v", stat, got)
		}
	}
}

func TestInspect(t *testing.T) {
	s, err := inspect()
	if err != nil || len(s.processes) == 0 || s.mounts["/"] == 0 {
		t.Errorf("%d processes, mounts %v, %v", len(s.processes), s.mounts, err)
	}
	if got := parseModules("ip_vs 162529 0 - Live 0x1\nnf_conntrack 99163 1 ip_vs, Live 0x2\n"); len(got) != 2 || !got["ip_vs"] {
		t.Error(got)
	}
}
