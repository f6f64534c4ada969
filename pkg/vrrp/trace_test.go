package vrrp

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEventText(t *testing.T) {
	for _, ev := range []Event{
		Startup{},
		Tick{},
		Shutdown{},
		Ready{},
		Recover{},
		NotReady{Reason: "first checks have not finished"},
		NotReady{Reason: "no real server", Empty: true},
		HandOver{Reason: "an operator"},
		HandOver{Reason: "the director is stopped", Resign: true},
		TakeBack{},
		Succeeded{},
		Faulted{Reason: "eth0: \"down\"\nand more"},
		Lost{Reason: ""},
		Degraded{Reason: "the table loop made no progress"},
		PeerLost{Source: master, Silent: 30 * ms},
		PeerLost{},
		Advert{Source: master, Priority: 150, Interval: sec},
		Advert{},
		Advert{Source: netip.MustParseAddr("fe80::1%eth0"), Interval: 10 * ms},
		Reconfigure{Params: us()},
	} {
		got, err := ParseEvent(ev.String())
		if err != nil {
			t.Errorf("%s: %v", ev, err)
		}
		if diff := cmp.Diff(ev, got, sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ev, diff)
		}
	}
}

func TestTraceDropsOldest(t *testing.T) {
	m := NewMachine(us())
	tr := NewTrace(m, 2)
	tr.Step(m, 0, Startup{})
	tr.Step(m, sec, hears(150, master))
	tr.Step(m, 2*sec, hears(0, master))
	tr.Step(m, 3*sec, Tick{})
	want := `2s advert source=10.77.0.2 priority=0 interval=1s
3s tick
	send_advert priority=100
	acquire cause=resigned
	transition from=BACKUP to=MASTER reason="MASTER: 10.77.0.2 resigned (priority 0)"
	= MASTER
`
	text := tr.String()
	head, rest, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(head, `machine {"vrid":51,`) {
		t.Errorf("begins with %s", head)
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := len(tr.Entries()); got != 2 {
		t.Errorf("%d entries, want 2", got)
	}
}

// TestRecords replays records of running daemons (lvsctl vrrp record >pkg/vrrp/testdata/records/NAME.txt): each event
// must give the same actions and the same state as in the daemon.
func TestRecords(t *testing.T) {
	files, err := filepath.Glob("testdata/records/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records in testdata/records (%v)", err)
	}
	for _, file := range files {
		recorded, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		traces, err := ParseTraces(string(recorded))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var replayed, want strings.Builder
		for _, tr := range traces {
			replayed.WriteString(tr.String())
		}
		for line := range strings.Lines(string(recorded)) {
			if !strings.HasPrefix(line, "#") {
				want.WriteString(line)
			}
		}
		if diff := cmp.Diff(want.String(), replayed.String()); diff != "" {
			t.Errorf("%s (-recorded +replayed):\n%s", file, diff)
		}
	}
	if _, err := ParseTraces("# nothing\n"); err == nil || !strings.Contains(err.Error(), "is this a trace?") {
		t.Errorf("not a trace: %v", err)
	}
	if _, err := ParseTraces("params vrid=51\n0s startup\nparams vrid=900\n"); err == nil || !strings.Contains(err.Error(), "trace 2: ") {
		t.Errorf("an invalid second trace: %v", err)
	}
}

func TestParseTraceRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "is this a trace?"},
		{"# only a comment\n", "is this a trace?"},
		{"1s startup", `line 1: begins with "1s"`},
		{"params vrid=300", `field "vrid=300"`},
		{"params colour=blue", `field "colour=blue": unknown field`},
		{"machine {", "line 1: unexpected end"},
		{"params vrid=51\nsoon tick", "line 2: time: invalid duration"},
		{"params vrid=51\n-1s tick", "out of range"},
		{"params vrid=51\n1s jump", `unknown event "jump"`},
		{"params vrid=51\n1s fault link down", "not a quoted string"},
		{"params vrid=51\n1s advert priority=1 source=nowhere", `field "source=nowhere"`},
	}
	for _, tt := range tests {
		if _, err := ParseTrace(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want one with %q", tt.text, err, tt.want)
		}
	}
}

func FuzzParseTrace(f *testing.F) {
	m := NewMachine(us())
	tr := NewTrace(m, 3)
	for i, ev := range allEvents {
		tr.Step(m, time.Duration(i)*down100, ev)
	}
	f.Add(tr.String())
	f.Add("params vrid=51 priority=100 interval=1s source=10.77.0.3\n0s startup\n1s advert source=10.77.0.2 priority=150 interval=1s\n9s tick\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := ParseTrace(text)
		if err != nil {
			return
		}
		again := tr.String()
		back, err := ParseTrace(again)
		if err != nil {
			t.Fatalf("%v in\n%s", err, again)
		}
		if diff := cmp.Diff(again, back.String()); diff != "" {
			t.Fatalf("(-was +now):\n%s", diff)
		}
	})
}
