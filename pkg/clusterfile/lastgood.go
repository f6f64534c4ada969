package clusterfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// lastGoodName is the name of the copy in a daemon's state directory.
const lastGoodName = "cluster.last-good.yaml"

// LastGood is an exact copy of the last cluster file that a daemon ran. It does not record the path of that file. Save
// requires the lock of the state directory.
type LastGood struct{ path string }

// LastGoodIn returns the copy in a state directory, which need not exist.
func LastGoodIn(stateDir string) LastGood { return LastGood{filepath.Join(stateDir, lastGoodName)} }

// Path is the path of the copy.
func (l LastGood) Path() string { return l.path }

// Read reads the copy like Bytes; when is the time when it was saved. A copy that was written by an older version or
// was damaged may be invalid: see Validate. The error for a missing copy is fs.ErrNotExist.
func (l LastGood) Read() (data []byte, when time.Time, err error) {
	if info, err := os.Stat(l.path); err == nil {
		when = info.ModTime()
	}
	data, err = Bytes(l.path)
	return data, when, err
}

// Save replaces the copy with data if it differs. The replacement is atomic, also across a power failure.
func (l LastGood) Save(data []byte) error {
	dir := filepath.Dir(l.path)
	// Temporary files of killed daemons are harmless but would accumulate.
	if unfinished, err := filepath.Glob(filepath.Join(dir, "."+lastGoodName+"*")); err == nil {
		for _, path := range unfinished {
			_ = os.Remove(path)
		}
	}
	if old, err := Content(l.path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	// Without WithTempDir renameio would try $TMPDIR, which is on another file system.
	if err := renameio.WriteFile(l.path, data, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("copy of the cluster file %s: %w", l.path, err)
	}
	return nil
}

// Absent reports whether err means that there is no copy.
func Absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
