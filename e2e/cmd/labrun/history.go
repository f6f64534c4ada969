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

// A history is the file that keeps how long jobs took. Without it everything works, only in a worse order.
type history struct{ path string }

func (h history) load(complaints io.Writer) suite.Durations {
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return suite.Durations{}
	}
	var d suite.Durations
	if err == nil {
		d, err = suite.ParseDurations(data)
	}
	if err != nil {
		fmt.Fprintln(complaints, "labrun:", err)
		return suite.Durations{}
	}
	return d
}

// save adds the jobs that passed. A run that ended meanwhile has added its own.
func (h history) save(complaints io.Writer, f suite.Form, outcomes []suite.Outcome) {
	d := maps.Clone(h.load(io.Discard))
	for _, o := range outcomes {
		if !o.Failed() && f.Rest == "" {
			d[o.Job.Key(f)] = o.Took
		}
	}
	data, err := d.Encode()
	if err == nil {
		err = renameio.WriteFile(h.path, data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(complaints, "labrun:", err)
	}
}
