package config

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Problem is an error or a warning about a cluster file.
type Problem struct {
	// File is the name passed to Parse.
	File string
	// Line and Column count from 1; Column counts characters, not bytes.
	Line, Column int
	// Path is the path of the key, for example virtual_servers[0].port; "" if the problem concerns the whole file.
	Path string
	// Message describes the problem, Hint ("" if there is none) what to write instead.
	Message, Hint string
	// Warning is set if the file is valid nevertheless.
	Warning bool
}

// String returns the problem as one line, without a newline:
//
//	cluster.yaml:42:9: virtual_servers[0].port: 70000 is out of range: 1 to 65535
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems are all problems of one file, in the order of their positions.
type Problems []Problem

// Problem returns an error in a valid file that only the host running it can detect.
func (c *Config) Problem(at Position, message, hint string) Problem {
	return Problem{File: c.File, Line: at.Line, Column: at.Column, Path: at.Path, Message: message, Hint: hint}
}

// Failed reports whether one of them is an error rather than a warning.
func (ps Problems) Failed() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning })
}

// String returns one line per problem, each ending in a newline; "" if there are none.
func (ps Problems) String() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// Err returns the errors among the problems as one error with a line for each, or nil if there are only warnings.
func (ps Problems) Err() error {
	var lines []string
	for _, p := range ps {
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
}
