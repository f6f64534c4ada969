package vrrp

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata; read the diff before you keep it")

// TestGolden runs the scripts in testdata. The effects of a line follow it, indented. The commands:
//
//	node NAME key=value…     a director, in INIT (for the keys see Params.String)
//	run DURATION             let time pass
//	cut NAME… | heal         a director neither sends nor receives adverts | all links work again
//	mute NAME                a director's adverts are lost, but it receives those of the others
//	estrange NAME            a director and the others refuse each other's adverts
//	crash NAME               a director disappears without resigning
//	NAME EVENT               an event (see ParseEvent)
//	state                    print the state of every director
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got); -update rewrites it:\n%s", file, diff)
			}
		})
	}
}

// playScript returns the script with the current effects of each line.
func playScript(t *testing.T, script string) string {
	l := newLAN()
	cut, mute, strange := map[string]bool{}, map[string]bool{}, map[string]bool{}
	l.drops = func(from, to *node) bool { return cut[from.name] || cut[to.name] || mute[from.name] }
	l.refuses = func(to, from *node) bool { return strange[to.name] != strange[from.name] }
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "node":
			name, keys, _ := strings.Cut(rest, " ")
			p, err := parseParams(keys)
			if err != nil || p.Validate() != nil {
				t.Fatalf("%s: %v, %v", line, err, p.Validate())
			}
			l.add(name, p)
		case "run":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			l.run(l.now + d)
		case "cut":
			for name := range strings.FieldsSeq(rest) {
				cut[name] = true
			}
		case "estrange":
			strange[rest] = true
		case "mute":
			mute[rest] = true
		case "heal":
			clear(cut)
			clear(mute)
			clear(strange)
		case "crash":
			l.node(rest).dead = true
		case "state":
			for _, n := range l.nodes {
				if !n.dead {
					fmt.Fprintf(&l.log, "%s: %s\n", n.name, n.m.Reason())
				}
			}
		default:
			n := l.node(word)
			if n == nil {
				t.Fatalf("%s: no such command or node", line)
			}
			ev, err := ParseEvent(rest)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			l.send(n, ev)
		}
		for done := range strings.Lines(l.log.String()) {
			out.WriteString("\t" + done)
		}
		l.log.Reset()
		if wrong := l.wrong(); wrong != "" {
			t.Errorf("after %q at %s: %s", line, l.now, wrong)
		}
	}
	for _, n := range l.nodes {
		replays(t, n)
	}
	return out.String()
}

// replays checks that the trace of a director, written as text and parsed, gives the same actions.
func replays(t testing.TB, n *node) {
	t.Helper()
	text := n.trace.String()
	back, err := ParseTrace(text)
	if err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	if diff := cmp.Diff(text, back.String()); diff != "" {
		t.Errorf("%s: replay differs (-was +now):\n%s", n.name, diff)
	}
}
