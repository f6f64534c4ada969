package clusterfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/priority"
)

const (
	// Most is the maximum size of a cluster file, in bytes.
	Most = config.MaxBytes
	// piece is the size of a single read: on a machine with one CPU, a long system call would delay adverts.
	piece = 64 << 10
)

// InvalidError is the error of an invalid cluster file.
type InvalidError struct{ Problems config.Problems }

// Error lists the errors, one per line, without warnings.
func (e *InvalidError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// UnreadableError is the error of a cluster file that could not be read.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string { return "cluster file: " + e.Err.Error() }

// Unwrap returns the operating system's error.
func (e *UnreadableError) Unwrap() error { return e.Err }

// File is a cluster file that was read.
type File struct {
	// Config is the parsed file; nil if it is invalid.
	Config *config.Config
	// Problems are all problems, including warnings.
	Problems config.Problems
	// Data is the content of the file.
	Data []byte
}

// Read reads and validates a cluster file. The error is an *UnreadableError or an *InvalidError; File.Problems is set
// in either case. A file system that does not answer within 10 s makes the file unreadable.
func Read(path string) (File, error) {
	data, err := Content(path)
	if err != nil {
		return File{}, &UnreadableError{err}
	}
	return Validate(path, data)
}

// Bytes reads a cluster file without parsing it. It has no timeout; callers provide a deadline. The error is an
// *UnreadableError.
func Bytes(path string) ([]byte, error) {
	data, err := slurp(path)
	if err != nil {
		return nil, &UnreadableError{err}
	}
	return data, nil
}

// Validate parses and validates the bytes of a cluster file, without disk access. It may take seconds for a large file
// on a slow machine, so it must not count against a disk timeout.
func Validate(path string, data []byte) (File, error) {
	cfg, problems := config.Parse(path, data)
	f := File{Config: cfg, Problems: problems, Data: data}
	if cfg == nil {
		return f, &InvalidError{problems}
	}
	f.Problems = append(f.Problems, priority.Warnings(cfg)...)
	slices.SortStableFunc(f.Problems, func(a, b config.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return f, nil
}

// readWithin limits the reading of a file: a network file system whose server is down blocks a read forever.
const readWithin = 10 * time.Second

// Content reads a cluster file without parsing it, within 10 s.
func Content(path string) ([]byte, error) {
	return within(readWithin, path, func() ([]byte, error) { return slurp(path) })
}

func within(limit time.Duration, path string, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := read()
		done <- result{data, err}
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case r := <-done:
		return r.data, r.err
	case <-late.C: // the blocked reader cannot be canceled
		return nil, fmt.Errorf("%s: not read within %s: does its file system answer?", path, limit)
	}
}

func slurp(path string) ([]byte, error) {
	// Without O_NONBLOCK, opening a named pipe without a writer would block forever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	data := make([]byte, 0, min(info.Size(), Most)+1)
	for info.Size() <= Most && len(data) <= Most { // the reported size may be wrong
		if len(data) == cap(data) {
			data = slices.Grow(data, piece)
		}
		n, err := f.Read(data[len(data):min(cap(data), len(data)+piece)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		} else if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: %s", path, config.TooLarge())
}

// Refused reports whether err means that the cluster file cannot be used, for which programs exit with 2.
func Refused(err error) bool {
	var invalid *InvalidError
	var unreadable *UnreadableError
	return errors.As(err, &invalid) || errors.As(err, &unreadable)
}
