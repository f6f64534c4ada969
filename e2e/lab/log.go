package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// A LogLine is one line that a process wrote, and the time at which the lab read it.
type LogLine struct {
	At   time.Time
	Text string
}

// A record collects the log lines of one process, wakes the goroutines that wait for a line, and writes the lines to a
// file for the evidence of a failed test.
type record struct {
	mu     sync.Mutex
	lines  []LogLine
	change chan struct{} // closed and replaced on every line; closed at the end
	ended  bool
	done   chan struct{}
	pipe   *os.File
	file   *os.File
}

// newRecord returns the record and the write end of the pipe for the process.
func newRecord(path string) (*record, *os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	file, err := os.Create(path)
	if err != nil {
		_ = read.Close()
		_ = write.Close()
		return nil, nil, err
	}
	return &record{change: make(chan struct{}), done: make(chan struct{}), pipe: read, file: file}, write, nil
}

// collect runs until every process has closed the write end of the pipe, or until abandon.
func (r *record) collect() {
	defer close(r.done)
	defer r.file.Close()
	defer r.pipe.Close()
	in := bufio.NewReader(r.pipe)
	for {
		text, err := in.ReadString('\n')
		if text != "" {
			r.add(LogLine{At: time.Now(), Text: strings.TrimRight(text, "\r\n")})
		}
		if err != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	close(r.change)
}

func (r *record) add(line LogLine) {
	_, _ = fmt.Fprintf(r.file, "%s %s\n", line.At.Format("15:04:05.000000"), line.Text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	close(r.change)
	r.change = make(chan struct{})
}

// after returns the lines from index on, whether the record is complete, and a channel that is closed on the next
// change.
func (r *record) after(index int) (lines []LogLine, ended bool, change <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines[min(index, len(r.lines)):], r.ended, r.change
}

// wait returns the first line from index on that accept returns true for, or an error after the timeout or when the
// record is complete.
func (r *record) wait(index int, accept func(LogLine) bool, timeout time.Duration) (LogLine, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		lines, ended, change := r.after(index)
		for _, line := range lines {
			if accept(line) {
				return line, nil
			}
		}
		index += len(lines)
		if ended {
			return LogLine{}, errors.New("and the process has ended")
		}
		select {
		case <-change:
		case <-timer.C:
			return LogLine{}, fmt.Errorf("after %s", timeout)
		}
	}
}

func (r *record) length() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// abandon stops reading a pipe that a stray grandchild still has open.
func (r *record) abandon() {
	_ = r.pipe.SetReadDeadline(time.Now())
	<-r.done
}

func joined(lines []LogLine) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line.Text)
		b.WriteByte('\n')
	}
	return b.String()
}
