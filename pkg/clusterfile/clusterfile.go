package clusterfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// Most bounds what is read of a cluster file, in bytes. Package config has a lower limit.
	Most = 4 << 20
	// piece is what is read at once: in a long system call on the only CPU, an advert would wait for it.
	piece = 64 << 10
)

// InvalidError is a cluster file that could be read and does not validate.
type InvalidError struct{ Problems config.Problems }

// Error lists the errors, one a line; warnings are left out.
func (e *InvalidError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// UnreadableError is a cluster file that could not be read at all.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string { return "cluster file: " + e.Err.Error() }

// Unwrap returns what the operating system said.
func (e *UnreadableError) Unwrap() error { return e.Err }

// File is a cluster file that was read.
type File struct {
	// Config is what it says; nil when it cannot be used.
	Config *config.Config
	// Problems are all that were found, warnings included.
	Problems config.Problems
	// Data are its bytes.
	Data []byte
}

// Read reads and validates a cluster file. The error is an *UnreadableError or an *InvalidError; the File has its problems
// in every case. A file system that does not answer within 10 s makes the file unreadable.
func Read(path string) (File, error) {
	data, err := slurpWithin(path)
	if err != nil {
		return File{}, &UnreadableError{err}
	}
	return Judge(path, data)
}

// Bytes reads a cluster file without a look at what it says, however long the disk may take: the caller has a deadline
// for that. The error is an *UnreadableError.
func Bytes(path string) ([]byte, error) {
	data, err := slurp(path)
	if err != nil {
		return nil, &UnreadableError{err}
	}
	return data, nil
}

// Judge validates what was read of a cluster file. It is Read without the disk: what it takes, a large file on a slow
// machine some seconds, says nothing of that.
func Judge(path string, data []byte) (File, error) {
	cfg, problems := config.Parse(path, data)
	f := File{Config: cfg, Problems: problems, Data: data}
	if cfg == nil {
		return f, &InvalidError{problems}
	}
	return f, nil
}

// readWithin bounds the reading of one file: a network file system whose server is gone keeps a read waiting for ever.
const readWithin = 10 * time.Second

func slurpWithin(path string) ([]byte, error) {
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
	case <-late.C: // the reader is left behind; nothing can end it
		return nil, fmt.Errorf("%s: not read within %s: does its file system answer?", path, limit)
	}
}

func slurp(path string) ([]byte, error) {
	// A named pipe without a writer would keep a plain open waiting for ever.
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
	for info.Size() <= Most && len(data) <= Most { // the size may lie
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
	return nil, fmt.Errorf("%s: larger than %d MiB", path, Most>>20)
}

// Refused says whether err is a cluster file that cannot be used, for which a program exits with 2.
func Refused(err error) bool {
	var invalid *InvalidError
	var unreadable *UnreadableError
	return errors.As(err, &invalid) || errors.As(err, &unreadable)
}
