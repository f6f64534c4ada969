package takeover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/lvs-director/lvs-director/pkg/replication"
)

// Record is what is written down about a take-over.
type Record struct {
	Time     time.Time `json:"time"` // when the instance became MASTER
	Node     string    `json:"node"`
	Instance string    `json:"instance"`
	Reason   string    `json:"reason"`
	Server   string    `json:"server"` // ADDRESS:PORT
	Read     Read      `json:"read"`
	// ReadAt is when the database was asked for Positions; absent without them.
	ReadAt    time.Time              `json:"read_at,omitzero"`
	Positions *replication.Positions `json:"positions,omitempty"`
	// Error is why the database did not answer at the take-over; "" if it did.
	Error string `json:"error,omitempty"`
}

// Read is where the positions of a record come from.
type Read string

// The sources of positions.
const (
	Fresh Read = "fresh" // asked for at the take-over
	Held  Read = "held"  // the last ones before it, because the database did not answer
	None  Read = "none"  // there are none
)

// Summary is one line for people.
func (r Record) Summary() string {
	switch r.Read {
	case Fresh:
		return fmt.Sprintf("%s, asked at the take-over: %s", r.Server, r.Positions.Summary())
	case Held:
		return fmt.Sprintf("%s, asked %s the take-over: %s (it does not answer now: %s)", r.Server, r.age(), r.Positions.Summary(), r.Error)
	default:
		return fmt.Sprintf("%s: no positions: %s", r.Server, r.Error)
	}
}

// age says how long before the take-over the positions were asked for.
func (r Record) age() string {
	if d := r.Time.Sub(r.ReadAt).Round(time.Millisecond); d >= 0 {
		return d.String() + " before"
	}
	return "just after"
}

const (
	// keep is how many records a file has at most, and maxFile how many bytes are read of one.
	keep    = 100
	maxFile = 64 << 20
)

// Append adds a record to a file with one JSON object per line, the newest last, and drops the oldest of more than 100. The
// file is replaced as a whole, and its lines stay as they are, whoever wrote them.
func Append(path string, r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("take-over record of %s: %w", r.Instance, err)
	}
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take-over records: %w", err)
	}
	if len(before) > maxFile {
		before = nil
	}
	lines := bytes.FieldsFunc(before, func(c rune) bool { return c == '\n' })
	lines = append(lines[max(0, len(lines)-keep+1):], line)
	// Without WithTempDir, renameio would try $TMPDIR, which may be on another file system.
	if err := renameio.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o640, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("take-over records: %w (%s must be writable)", err, filepath.Dir(path))
	}
	return nil
}
