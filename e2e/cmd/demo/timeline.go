package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// width is the maximum width of a line in columns.
const width = 100

// A timeline prints the output of the demo. It is safe for concurrent use.
type timeline struct {
	mu    sync.Mutex
	out   io.Writer
	paint palette
	start time.Time
}

func newTimeline(out io.Writer, paint palette) *timeline {
	return &timeline{out: out, paint: paint, start: time.Now()}
}

// A palette colours text for a terminal; false leaves text as it is.
type palette bool

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p palette) in(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colours reports whether to colour the output. In a guest the output is a pipe even if it ends on a terminal;
// LVS_COLOR=always is set in that case. NO_COLOR takes precedence (no-color.org).
func colours(out *os.File) palette {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if os.Getenv("LVS_COLOR") == "always" {
		return true
	}
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return err == nil && os.Getenv("TERM") != "dumb"
}

func (s *timeline) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		_, _ = fmt.Fprintln(s.out, line)
	}
}

// heading prints the heading of a step.
func (s *timeline) heading(number int, title string) {
	head := fmt.Sprintf("━━ %d  %s ", number, title)
	s.print("", s.paint.in(bold, head+strings.Repeat("━", max(0, width-utf8.RuneCountInString(head)))))
}

// margin is the width of the time and the name before each text.
const margin = 8 + 2 + 10 + 2

// at prints a line of the timeline: when, who, what. Long text continues on further lines.
func (s *timeline) at(when time.Time, who, what string) {
	stamp := fmt.Sprintf("%7.2fs", max(0, when.Sub(s.start)).Seconds())
	lines := wrap(what, width-margin)
	lines[0] = s.paint.in(dim, stamp) + "  " + s.paint.in(colourOf(who), fmt.Sprintf("%-10s", who)) + "  " + lines[0]
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.Repeat(" ", margin) + lines[i]
	}
	s.print(lines...)
}

// now is at with the current time.
func (s *timeline) now(who, format string, args ...any) {
	s.at(time.Now(), who, fmt.Sprintf(format, args...))
}

func colourOf(who string) string {
	switch {
	case strings.HasPrefix(who, "lvs-"):
		return cyan
	case strings.HasPrefix(who, "mysql"):
		return yellow
	default:
		return bold
	}
}

// block prints the output of a tool, indented.
func (s *timeline) block(text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.Repeat(" ", margin)+line, " ")
	}
	s.print(lines...)
}

// printError prints an error of the demo itself.
func (s *timeline) printError(text string) {
	s.print(s.paint.in(red, "        ✗ ")+strings.ReplaceAll(text, "\n", "\n          "), "")
}

// judge prints an expectation and its result.
func (s *timeline) judge(e expectation) {
	text := fmt.Sprintf("    %s %s %s  %s", s.mark(e.met), pad(e.what, 45), pad(e.got, 10), s.paint.in(dim, e.want))
	s.print(strings.TrimRight(text, " "))
}

func (s *timeline) mark(met bool) string {
	if met {
		return s.paint.in(green, "✓")
	}
	return s.paint.in(red, "✗")
}

// pad appends spaces up to a width in characters.
func pad(text string, to int) string {
	return text + strings.Repeat(" ", max(0, to-utf8.RuneCountInString(text)))
}

// wrap breaks text at spaces. It returns at least one line, and does not break long words.
func wrap(text string, to int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= to:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
