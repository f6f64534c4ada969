package conftree

import (
	"bytes"
	"fmt"
	"strings"
)

// maxLine is the length of a line in bytes from which on it is not read.
const maxLine = 8 << 10

// Split adds the lines of a file to a tree, as Unreachable until a parser has read them, and calls read for each with its
// index in Lines, without the bytes that end it. A file that is no text, or too long, is a problem and has no lines.
func (t *Tree) Split(name string, data []byte, read func(index int, line string)) {
	at := Position{File: name, Line: 1, Column: 1}
	switch {
	case len(data) > MaxBytes:
		t.Report(Problem{At: at, Message: fmt.Sprintf("the file has more than %d bytes", MaxBytes)})
		return
	case bytes.IndexByte(data, 0) >= 0:
		t.Report(Problem{At: at, Message: "the file has a byte 0: it is no text"})
		return
	}
	content := strings.TrimSuffix(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	lines := strings.Split(content, "\n")
	for n := range lines {
		lines[n] = strings.TrimRight(lines[n], "\r")
		t.Lines = append(t.Lines, Line{At: Position{File: name, Line: n + 1, Column: 1}, Text: lines[n], Kind: Unreachable})
	}
	for n, line := range lines {
		if len(line) > maxLine {
			t.Report(Problem{At: t.Lines[n].At, Message: fmt.Sprintf("the line has more than %d bytes, and is not read", maxLine)})
			continue
		}
		read(n, line)
	}
}
