package clusterfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Most bounds what is read of a cluster file, in bytes. Package config has the limit that users meet.
const Most = 16 << 20

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

// Read reads and validates a cluster file. The error is an *UnreadableError or an *InvalidError; problems are returned in
// every case, warnings included.
func Read(path string) (*config.Config, config.Problems, error) {
	data, err := slurp(path)
	if err != nil {
		return nil, nil, &UnreadableError{err}
	}
	cfg, problems := config.Parse(path, data)
	if cfg == nil {
		return nil, problems, &InvalidError{problems}
	}
	return cfg, problems, nil
}

func slurp(path string) ([]byte, error) {
	// A named pipe without a writer would keep a plain open waiting for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, Most+1))
	if err != nil {
		return nil, err
	}
	if len(data) > Most {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, Most>>20)
	}
	return data, nil
}

// Refused says whether err is a cluster file that cannot be used, for which a program exits with 2.
func Refused(err error) bool {
	var invalid *InvalidError
	var unreadable *UnreadableError
	return errors.As(err, &invalid) || errors.As(err, &unreadable)
}
