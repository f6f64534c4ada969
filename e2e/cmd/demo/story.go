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

// width is what a line may have: 100 columns.
const width = 100

// A story prints the timeline. Its methods may be called by several goroutines.
type story struct {
	mu    sync.Mutex
	out   io.Writer
	paint palette
	start time.Time
}

func newStory(out io.Writer, paint palette) *story {
	return &story{out: out, paint: paint, start: time.Now()}
}

// A palette paints text for a terminal; false paints nothing.
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

// colours says whether to paint. In the guest the output is a pipe even when a terminal is at its other end:
// LVS_COLOR=always says so. NO_COLOR has the last word (no-color.org).
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

func (s *story) print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		_, _ = fmt.Fprintln(s.out, line)
	}
}

// act opens a chapter.
func (s *story) act(number int, title string) {
	head := fmt.Sprintf("━━ %d  %s ", number, title)
	s.print("", s.paint.in(bold, head+strings.Repeat("━", max(0, width-utf8.RuneCountInString(head)))))
}

// margin is the width of the seconds and the name before each sentence.
const margin = 8 + 2 + 10 + 2

// at is one line of the timeline: when, who, what. Long ones go on below.
func (s *story) at(when time.Time, who, what string) {
	stamp := fmt.Sprintf("%7.2fs", max(0, when.Sub(s.start)).Seconds())
	lines := wrap(what, width-margin)
	lines[0] = s.paint.in(dim, stamp) + "  " + s.paint.in(colourOf(who), fmt.Sprintf("%-10s", who)) + "  " + lines[0]
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.Repeat(" ", margin) + lines[i]
	}
	s.print(lines...)
}

// now is at for what happens in this moment.
func (s *story) now(who, format string, args ...any) {
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

// block prints the output of a tool as it is, set in.
func (s *story) block(text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.Repeat(" ", margin)+line, " ")
	}
	s.print(lines...)
}

// trouble says that the show itself failed.
func (s *story) trouble(text string) {
	s.print(s.paint.in(red, "        ✗ ")+strings.ReplaceAll(text, "\n", "\n          "), "")
}

// judge prints an expectation beside what came of it.
func (s *story) judge(e expectation) {
	text := fmt.Sprintf("    %s %s %s  %s", s.mark(e.held), pad(e.what, 45), pad(e.saw, 10), s.paint.in(dim, e.want))
	s.print(strings.TrimRight(text, " "))
}

func (s *story) mark(held bool) string {
	if held {
		return s.paint.in(green, "✓")
	}
	return s.paint.in(red, "✗")
}

// pad fills up to a width in characters.
func pad(text string, to int) string {
	return text + strings.Repeat(" ", max(0, to-utf8.RuneCountInString(text)))
}

// wrap breaks a text at spaces. It returns at least one line; a word that is too long stays whole.
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
