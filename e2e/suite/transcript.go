package suite

import (
	"bytes"
	"fmt"
	"strings"
)

// A Tally counts tests.
type Tally struct{ Passed, Failed, Skipped int }

func (t Tally) plus(o Tally) Tally {
	return Tally{t.Passed + o.Passed, t.Failed + o.Failed, t.Skipped + o.Skipped}
}

// one is the tally of a single test, whatever it had others print.
func (t Tally) one() Tally {
	switch {
	case t.Failed > 0:
		return Tally{Failed: 1}
	case t.Passed > 0:
		return Tally{Passed: 1}
	}
	return Tally{Skipped: t.Skipped}
}

// Of what a job prints, that much of the beginning and of the end is kept, in bytes.
const (
	keptHead = 256 << 10
	keptTail = 512 << 10
	longLine = 16 << 10 // what is longer is kept in pieces
)

// A Transcript is what a job printed with -test.v: text for people, without the lines that only say which test goes on,
// and what those and the verdicts told. The zero value is empty.
type Transcript struct {
	Tally   Tally
	Skips   []string // the tests that were skipped
	Said    Scenario // what the test said of itself while it ran
	line    []byte   // one that has not ended
	head    bytes.Buffer
	tail    bytes.Buffer
	leftOut int
}

// Write takes a piece of the output. It never fails.
func (t *Transcript) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece, after, ended := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, piece...)
		if ended {
			t.line = append(t.line, '\n')
		}
		if ended || len(t.line) > longLine {
			t.take()
		}
		rest = after
	}
	return len(p), nil
}

// take reads and keeps a line.
func (t *Transcript) take() {
	line := strings.TrimRight(string(t.line), "\r\n")
	defer func() { t.line = t.line[:0] }()
	if a, ok := parseAttribute(line); ok {
		said := plan{Scenario: t.Said}
		said.take(a)
		t.Said = said.Scenario
	}
	if name, verdict, ok := parseVerdict(line); ok {
		switch verdict {
		case "PASS":
			t.Tally.Passed++
		case "FAIL":
			t.Tally.Failed++
		case "SKIP":
			t.Tally.Skipped++
			t.Skips = append(t.Skips, name)
		}
	}
	for _, noise := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "=== ATTR "} {
		if strings.HasPrefix(line, noise) {
			return
		}
	}
	t.keep(t.line)
}

func (t *Transcript) keep(line []byte) {
	if t.tail.Len() == 0 && t.head.Len()+len(line) <= keptHead {
		t.head.Write(line)
		return
	}
	t.tail.Write(line)
	if over := t.tail.Len() - keptTail; over > 0 {
		t.leftOut += over
		t.tail.Next(over)
	}
}

// String is the text, with a newline at its end, or empty.
func (t *Transcript) String() string {
	if len(t.line) > 0 {
		t.take()
	}
	text := t.head.String()
	if t.leftOut > 0 {
		text += fmt.Sprintf("… %d bytes left out …\n", t.leftOut)
	}
	if text += t.tail.String(); text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
