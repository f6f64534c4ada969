package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lvs-director/lvs-director/pkg/event"
)

const (
	fileName     = "events.jsonl"
	previousName = "events.1.jsonl"
	// FileBytes limits the size of the file. A file that would exceed it is renamed, so there are at most two.
	FileBytes = 512 << 10
)

// Path returns the path of the journal's file in a state directory.
func Path(dir string) string { return filepath.Join(dir, fileName) }

// Read reads the events in a state directory, oldest first, at most as many as a daemon keeps in memory. Invalid lines
// are skipped. It returns an error if the file is missing or cannot be read.
func Read(dir string) ([]event.Event, error) {
	f := fileIn(dir)
	r, err := f.read()
	if err != nil {
		return nil, err
	}
	return r.events, nil
}

// file is the journal's file and its predecessor. It is opened for each batch, so that a removed file is recreated. It
// must be used by one goroutine at a time.
type file struct {
	dir  string
	open func(path string) (writer, error)
	torn bool // the file may end with an incomplete line, after a crash or on a full disk
}

// writer is an open file.
type writer interface {
	io.WriteCloser
	Stat() (fs.FileInfo, error)
}

func fileIn(dir string) file { return file{dir: dir, open: openForAppending, torn: true} }

func openForAppending(path string) (writer, error) {
	// O_NONBLOCK: a pipe at this path must not block.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	return f, nil
}

var errNotRegular = errors.New("is not a regular file: remove it")

// append writes events and returns how many were written, even with an error.
func (f *file) append(events []event.Event) (done int, err error) {
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return 0, err
	}
	for done < len(events) {
		n, err := f.fill(events[done:])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// fill writes as many events as fit into the file, at least one; a full file is renamed first.
func (f *file) fill(events []event.Event) (done int, err error) {
	path := Path(f.dir)
	w, err := f.open(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closing := w.Close(); err == nil {
			err = closing
		}
	}()
	info, err := w.Stat()
	switch {
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	var text []byte
	if f.torn && info.Size() > 0 {
		text = append(text, '\n')
	}
	var ends []int // end offsets of the lines in text
	for _, e := range events {
		line, err := e.Line()
		if err != nil { // skip an event that cannot be encoded
			line = nil
		}
		if len(ends) > 0 && info.Size()+int64(len(text)+len(line)) > FileBytes {
			break
		}
		text = append(text, line...)
		ends = append(ends, len(text))
	}
	if info.Size() > 0 && info.Size()+int64(len(text)) > FileBytes {
		if err := os.Rename(path, filepath.Join(f.dir, previousName)); err != nil {
			return 0, err
		}
		f.torn = false
		return 0, nil // the next call creates a new file
	}
	written, err := w.Write(text)
	for done < len(ends) && ends[done]-1 <= written { // a line that lacks only the newline gets it from the next write
		done++
	}
	f.torn = err != nil
	return done, err
}

// read reads both files.
func (f *file) read() (*ring, error) {
	r := &ring{}
	previous := readInto(r, filepath.Join(f.dir, previousName))
	err := readInto(r, Path(f.dir))
	if errors.Is(err, fs.ErrNotExist) && previous == nil { // killed between renaming and the next event
		err = nil
	}
	return r, err
}

func readInto(r *ring, path string) error {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w", path, errNotRegular)
	}
	if beyond := info.Size() - FileBytes; beyond > 0 { // not written by this package
		if _, err := in.Seek(beyond, io.SeekStart); err != nil {
			return err
		}
	}
	return scan(r, io.LimitReader(in, FileBytes))
}

// scan adds every valid line. A line longer than event.MaxLine is invalid.
func scan(r *ring, in io.Reader) error {
	lines := bufio.NewReaderSize(in, event.MaxLine+1)
	for tooLong := false; ; {
		line, err := lines.ReadSlice('\n')
		if !tooLong && !errors.Is(err, bufio.ErrBufferFull) {
			if e, bad := event.Parse(bytes.TrimSpace(line)); bad == nil {
				r.add(e)
			}
		}
		tooLong = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !tooLong:
			return err
		}
	}
}
