package host

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
)

// unreadable is an entry of a directory whose details cannot be read.
type unreadable struct {
	os.DirEntry
	err error
}

func (u unreadable) Info() (fs.FileInfo, error) { return nil, u.err }

// TestDirectoryFiles: only a file that is certainly gone is left out; with any other error nothing is known about the directory.
func TestDirectoryFiles(t *testing.T) {
	entries, err := fstest.MapFS{"mysql1": {}, "mysql2": {}, "sub": {Mode: fs.ModeDir}}.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err   error
		files int
		fails bool
	}{
		{nil, 2, false},
		{&fs.PathError{Op: "lstat", Path: "/m/mysql1", Err: fs.ErrNotExist}, 1, false},
		{&fs.PathError{Op: "lstat", Path: "/m/mysql1", Err: fs.ErrPermission}, 0, true},
		{errors.New("input/output error"), 0, true},
	} {
		all := append([]os.DirEntry(nil), entries...)
		if tt.err != nil {
			all[0] = unreadable{entries[0], tt.err}
		}
		files, err := directoryFiles(all)
		if len(files) != tt.files || (err != nil) != tt.fails {
			t.Errorf("%v: %v, %v", tt.err, files, err)
		}
	}
}
