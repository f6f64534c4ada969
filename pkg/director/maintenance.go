package director

import (
	"path/filepath"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/tracking"
)

// listedWithin limits how long a start waits for the files in maintenance_dir: without them it would give connections to
// servers that are drained.
const listedWithin = time.Second

// awaitListing waits until maintenance_dir was read.
func (d *Director) awaitListing(l *loops) {
	late := time.NewTimer(listedWithin)
	defer late.Stop()
	select {
	case <-l.directory.Read():
		l.overrides.follow(l.directory.Listing)
	case <-late.C:
		d.log.Warn("maintenance_dir cannot be read in time; not waiting for it any longer", "after", listedWithin.String())
	}
}

// follow takes in the files of maintenance_dir. Of two calls at a time the later one reads the later listing.
func (o *overrides) follow(listing func() tracking.Listing) {
	o.following.Lock()
	defer o.following.Unlock()
	l := listing()
	drains := make([]override.Override, 0, len(l.Files))
	now := map[string]override.Override{}
	for _, f := range l.Files {
		path := filepath.Join(l.Path, f.Name)
		one := override.Override{
			Target: override.Target{Server: f.Name}, Kind: override.Drain, Author: "the file " + path, File: path, Since: f.Modified,
			Clock: override.Clock{Time: f.Modified.UnixMilli()},
		}
		drains, now[path] = append(drains, one), one
	}
	o.mu.Lock()
	before, news := o.set.Others(), o.listed
	o.set, o.listed = o.set.Beside(drains), true
	o.version++
	o.carry(time.Now()) // a file that comes back with its old time is another drain
	o.mu.Unlock()
	o.changed()
	if !news { // what is there at a start is no change
		return
	}
	for _, one := range before {
		if _, stays := now[one.File]; !stays {
			o.record(event.Event{Kind: event.OverrideChanged, Subject: one.Target.String(), From: one.String(), Reason: "by " + one.Author + ", which is gone"})
		}
		delete(now, one.File)
	}
	for _, f := range l.Files {
		if one, added := now[filepath.Join(l.Path, f.Name)]; added {
			o.record(event.Event{Kind: event.OverrideChanged, Subject: one.Target.String(), To: one.String(), Reason: "by " + one.Author})
		}
	}
}

// maintenanceProblems returns the problem of a directory that cannot be read.
func maintenanceProblems(text string) []problem.Finding {
	if text == "" {
		return nil
	}
	return []problem.Finding{{Code: problem.MaintenanceDirUnreadable, Text: "maintenance_dir: " + text + ": servers stay as they are"}}
}
