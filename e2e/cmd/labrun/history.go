package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"

	"github.com/google/renameio/v2"

	"github.com/lvs-director/lvs-director/e2e/suite"
)

// A history is the file with the durations of jobs. It only affects the order of jobs, so errors are reported and
// otherwise ignored.
type history struct{ path string }

func (h history) load(stderr io.Writer) suite.Durations {
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return suite.Durations{}
	}
	var d suite.Durations
	if err == nil {
		d, err = suite.ParseDurations(data)
	}
	if err != nil {
		fmt.Fprintln(stderr, "labrun:", err)
		return suite.Durations{}
	}
	return d
}

// save adds the jobs that passed. It reads the file again, because another run may have added jobs meanwhile.
func (h history) save(stderr io.Writer, f suite.Form, outcomes []suite.Outcome) {
	d := maps.Clone(h.load(io.Discard))
	for _, o := range outcomes {
		if !o.Failed() && f.Subtests == "" {
			d[o.Job.Key(f)] = o.Took
		}
	}
	data, err := d.Encode()
	if err == nil {
		err = renameio.WriteFile(h.path, data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(stderr, "labrun:", err)
	}
}
