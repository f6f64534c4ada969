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

// lastGoodName is a file of a daemon's state directory.
const lastGoodName = "cluster.last-good.yaml"

// LastGood is the copy of the last cluster file that a daemon ran, byte for byte. It remembers nothing of where that file
// was. Whoever saves holds the lock of the state directory.
type LastGood struct{ path string }

// LastGoodIn is the copy in a state directory, which need not exist.
func LastGoodIn(stateDir string) LastGood { return LastGood{filepath.Join(stateDir, lastGoodName)} }

// Path is the copy's file.
func (l LastGood) Path() string { return l.path }

// Read reads the copy, as Bytes does; when says since when it is the last good one. A copy that an older version made, or
// that was damaged, may not validate any more: see Judge. An absent one is an fs.ErrNotExist.
func (l LastGood) Read() (data []byte, when time.Time, err error) {
	if info, err := os.Stat(l.path); err == nil {
		when = info.ModTime()
	}
	data, err = Bytes(l.path)
	return data, when, err
}

// Save makes data the copy, unless it is already. A reader, also one after a power loss, sees the old copy or the new one.
func (l LastGood) Save(data []byte) error {
	dir := filepath.Dir(l.path)
	// What a daemon left that was killed while it saved is in nobody's way, but would grow in number.
	if unfinished, err := filepath.Glob(filepath.Join(dir, "."+lastGoodName+"*")); err == nil {
		for _, path := range unfinished {
			_ = os.Remove(path)
		}
	}
	if old, err := slurpWithin(l.path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	// Without a directory of its own renameio would try $TMPDIR, which is on another file system.
	if err := renameio.WriteFile(l.path, data, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("copy of the cluster file %s: %w", l.path, err)
	}
	return nil
}

// Absent says whether err is that of a copy which was never made.
func Absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
