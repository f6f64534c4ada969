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

// one returns the tally of a single test, even if the output contained several verdicts.
func (t Tally) one() Tally {
	switch {
	case t.Failed > 0:
		return Tally{Failed: 1}
	case t.Passed > 0:
		return Tally{Passed: 1}
	}
	return Tally{Skipped: t.Skipped}
}

// How much of a job's output is kept, in bytes.
const (
	keptHead = 256 << 10
	keptTail = 512 << 10
	longLine = 16 << 10 // longer lines are processed in pieces
)

// A Transcript is the output of a job with -test.v. It keeps the text without the === lines, and what those and the
// verdicts contain. The zero value is empty.
type Transcript struct {
	Tally    Tally
	Skips    []string // names of the tests that were skipped
	Declared Scenario // what the test declared while it ran
	line     []byte   // the current, incomplete line
	head     bytes.Buffer
	tail     bytes.Buffer
	leftOut  int
}

// Write adds a piece of output. It never fails.
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

// take parses and keeps the current line.
func (t *Transcript) take() {
	line := strings.TrimRight(string(t.line), "\r\n")
	defer func() { t.line = t.line[:0] }()
	if a, ok := parseAttribute(line); ok {
		p := plan{Scenario: t.Declared}
		p.apply(a)
		t.Declared = p.Scenario
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

// String returns the text, which is empty or ends with a newline.
func (t *Transcript) String() string {
	if len(t.line) > 0 {
		t.take()
	}
	text := t.head.String()
	if t.leftOut > 0 {
		text += fmt.Sprintf("… %d bytes omitted …\n", t.leftOut)
	}
	if text += t.tail.String(); text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}
