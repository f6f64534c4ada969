package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// driftInterval is how often the cluster file is looked at. A difference is reported by the second look that sees it, so
// that a change that is followed by a reload is no problem.
const driftInterval = 2 * time.Second

// drift notices that the cluster file on disk is not the one that runs: it was edited without a reload, is broken or
// gone. A start would run something else than this daemon does.
type drift struct {
	path string
	log  *slog.Logger
	disk *disk // of its own, so that a reload does not wait for it
	// matches is called by a look that found the file that runs, with the time when the look began.
	matches func(began time.Time)

	// Owned by watch.
	seen     stamp
	now      content
	same     time.Time // when the file that runs was last seen
	differed bool      // the last look saw a difference

	trouble trouble
}

// stamp tells whether a file has been written, replaced or removed, without reading it.
type stamp struct {
	device, inode uint64
	size          int64
	written       time.Time // mtime
	changed       time.Time // ctime: cp -p and rsync -t set the mtime to the past
}

// content is that of the file.
type content struct {
	digest string    // "" if it cannot be read
	fault  string    // why it cannot be used; "" if it can
	since  time.Time // when it came to be
}

func newDrift(path string, log *slog.Logger, matches func(began time.Time)) *drift {
	return &drift{path: path, log: log, disk: newDisk(), matches: matches}
}

// watch looks at the file until ctx ends. running returns the digest of the file that runs, "" before one does.
func (d *drift) watch(ctx context.Context, running func() string) {
	tick := heartbeat.NewTicker(driftInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if digest := running(); digest != "" {
			d.look(digest)
		}
	}
}

// look compares the file with the digest of the one that runs.
func (d *drift) look(running string) {
	began := time.Now()
	now, changed := d.content(running)
	differs := now.digest != running
	if !differs {
		d.same = time.Now()
		d.matches(began)
	}
	if differs && (changed || !d.differed) {
		d.differed = true // reported if the next look sees the same
		return
	}
	d.differed = differs
	text := ""
	if differs {
		text = now.differs(d.path)
	}
	switch {
	case !d.trouble.set(text):
	case text != "":
		d.log.Warn("the cluster file on disk is not the one that runs", "problem", text)
	default:
		d.log.Info("the cluster file on disk is the one that runs again")
	}
}

// differs describes a file that does not run.
func (c content) differs(path string) string {
	since := c.since.Format("2006-01-02 15:04:05")
	switch {
	case c.digest == "":
		return fmt.Sprintf("the cluster file cannot be read since %s, and the next start would not find what runs now: %s", since, c.fault)
	case c.fault != "":
		return fmt.Sprintf("the cluster file %s is not the one that runs since %s, and cannot be used: %s", path, since, c.fault)
	default:
		return fmt.Sprintf("the cluster file %s is not the one that runs since %s, when it was changed: lvsctl reload applies it", path, since)
	}
}

// content reads the file if it has changed since the last call, and validates it if it is not the one that runs.
func (d *drift) content(running string) (now content, changed bool) {
	at, err := ask(d.disk, readWithin, func() (stamp, error) { return stampOf(d.path) })
	if err == nil && at == d.seen {
		return d.now, false
	}
	var data []byte
	if err == nil {
		data, err = ask(d.disk, readWithin, func() ([]byte, error) { return clusterfile.Bytes(d.path) })
	}
	if err != nil {
		now := content{fault: err.Error(), since: time.Now()}
		if changed = d.now.digest != "" || d.now.since.IsZero(); !changed {
			now.since = d.now.since
		}
		d.seen, d.now = stamp{}, now
		return now, changed
	}
	now = content{digest: config.DigestOf(data), since: at.changed}
	if now.since.Before(d.same) { // a symbolic link that leads to another file now
		now.since = d.same
	}
	if now.digest != running {
		if _, err := clusterfile.Validate(d.path, data); err != nil {
			now.fault = summary(err)
		}
	}
	d.seen, d.now = at, now
	return now, true
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{size: info.Size(), written: info.ModTime()}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, errors.New("stat without an inode")
	}
	s.device, s.inode, s.changed = sys.Dev, sys.Ino, time.Unix(sys.Ctim.Unix())
	return s, nil
}

// problems returns the difference, if there is one.
func (d *drift) problems() []problem.Finding {
	return d.trouble.findings(problem.ClusterFileChanged)
}
