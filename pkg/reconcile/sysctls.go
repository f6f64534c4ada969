package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// SysctlKernel reads and sets kernel parameters; see package sysctl.
type SysctlKernel interface {
	Get(key string) (string, error)
	Set(key, value string) (previous string, err error)
}

// SysctlRecords stores the values found before they were changed. After an error they are in memory only.
type SysctlRecords interface {
	Sysctls() []statefile.Sysctl
	RecordSysctl(more ...statefile.Sysctl) error
	ForgetSysctl(keys ...string) error
}

// SysctlOptions are the dependencies of Sysctls. All are required unless documented as optional.
type SysctlOptions struct {
	Kernel    SysctlKernel
	StateFile SysctlRecords
	// ConfKey returns the key, as spelled in the desired keys, of an interface's parameter under net.ipv4.conf.
	ConfKey func(iface, name string) string
	// Optional reports whether the kernel may noteAddress a key because it comes and goes with an interface. Nil: all
	// keys.
	Optional func(key string) bool
	// RecordRight also records values that are already as desired, so that the machine's original value is known if
	// another process changes them later.
	RecordRight bool
	// Saved is called with the result of each write of the state file.
	Saved func(error)
	// OnSet and OnRestore are called after each change, OnForeign for a value of ours that another process has changed
	// since and that is therefore not restored. OnForeign is optional.
	OnSet, OnRestore, OnForeign func(SysctlChange)
	Log                         *slog.Logger
}

// Sysctls keeps kernel parameters at desired values. It records the value found before it writes a parameter, and
// restores it when the parameter is no longer wanted, unless another process has changed it meanwhile. Its methods may
// be called from any goroutine.
type Sysctls struct {
	o       SysctlOptions
	problem lastError
	ready   task.Latch

	mu    sync.Mutex // guards want and names, and serializes passes
	want  map[string]string
	names map[int]string // of the interfaces, by index, as last seen
}

// sysctlsEvery is how often parameters are read; the kernel sends no events for them.
const sysctlsEvery = time.Second

// NewSysctls makes the loop; no parameter is wanted yet.
func NewSysctls(o SysctlOptions) *Sysctls {
	if o.Optional == nil {
		o.Optional = func(string) bool { return true }
	}
	if o.OnForeign == nil {
		o.OnForeign = func(SysctlChange) {}
	}
	return &Sysctls{o: o}
}

// Set sets the parameters now, and Run keeps them so. Parameters that are no longer wanted stay as they are until
// Restore. A failure does not prevent the other parameters from being set; the first error is returned.
func (s *Sysctls) Set(want map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = want
	err := s.pass()
	if err == nil {
		s.ready.Close()
	}
	return err
}

// Name implements task.Task.
func (s *Sysctls) Name() string { return "the sysctl keeper" }

// Ready is closed when a Set has succeeded.
func (s *Sysctls) Ready() <-chan struct{} { return s.ready.Ready() }

// Run corrects parameters that another process changes, and those of new interfaces, until ctx ends. It returns nil.
func (s *Sysctls) Run(ctx context.Context) error {
	return task.Every(ctx, sysctlsEvery, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keep()
	})
}

// keep corrects the parameters. mu is held.
func (s *Sysctls) keep() {
	err := s.pass()
	if err == nil {
		s.problem.clear()
		return
	}
	if text, news := s.problem.set(err); news {
		s.o.Log.Error("cannot set the sysctls; trying again", "error", text)
	}
}

// Problem returns why a parameter does not have its desired value; "" if all have.
func (s *Sysctls) Problem() string { return s.problem.text() }

func (s *Sysctls) pass() error {
	have, failed := s.Look(s.want)
	if len(failed) == 0 {
		for _, key := range slices.Sorted(maps.Keys(s.want)) {
			if _, exists := have[key]; !exists && !s.o.Optional(key) {
				failed = append(failed, fmt.Errorf("read sysctl %s: %w", key, sysctl.ErrMissing))
			}
		}
	}
	plan := DiffSysctls(s.want, have, nil)
	s.Record(s.want, have)
	failed = append(failed, s.Write(plan.Set, have)...)
	if len(failed) > 0 {
		return failed[0]
	}
	return nil
}

// Look reads the wanted and the recorded parameters. A parameter that the kernel does not have is absent from have; so
// is one that cannot be read, whose error is in failed.
func (s *Sysctls) Look(want map[string]string) (have map[string]string, failed []error) {
	keys := slices.Collect(maps.Keys(want))
	for _, r := range s.o.StateFile.Sysctls() {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	have = make(map[string]string, len(keys))
	for _, key := range slices.Compact(keys) {
		value, err := s.o.Kernel.Get(key)
		switch {
		case err == nil:
			have[key] = value
		case !errors.Is(err, sysctl.ErrMissing):
			failed = append(failed, err)
		}
	}
	return have, failed
}

// Record saves the current values of the parameters that are about to be changed, and of those that the kernel changes
// with them.
func (s *Sysctls) Record(want, have map[string]string) {
	var changes []statefile.Sysctl
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if found, exists := have[key]; exists && (s.o.RecordRight || found != want[key]) {
			changes = append(changes, statefile.Sysctl{Key: key, Found: found, Wrote: want[key]})
		}
	}
	if len(changes) > 0 {
		s.o.Saved(s.o.StateFile.RecordSysctl(append(changes, s.recordImplied(changes)...)...))
	}
}

// Write sets parameters and updates have.
func (s *Sysctls) Write(changes []SysctlChange, have map[string]string) (failed []error) {
	for _, c := range changes {
		_, err := s.o.Kernel.Set(c.Key, c.To)
		switch {
		case err == nil:
			have[c.Key] = c.To
			s.o.OnSet(c)
		case !errors.Is(err, sysctl.ErrMissing) || !s.o.Optional(c.Key): // otherwise its interface has just disappeared
			failed = append(failed, err)
		}
	}
	return failed
}

// Restore restores every recorded parameter that is not in want. One that cannot be read or written now stays recorded.
func (s *Sysctls) Restore(want map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, failed := s.Look(nil)
	failed = append(failed, s.ApplyRestore(DiffSysctls(want, have, s.Readable(have)), have)...)
	for i, err := range failed {
		failed[i] = fmt.Errorf("restore a sysctl: %w", err)
	}
	return errors.Join(failed...)
}

// Readable returns the recorded parameters whose current state is known: those that Look has found, and those that the
// kernel no longer has.
func (s *Sysctls) Readable(have map[string]string) []statefile.Sysctl {
	return slices.DeleteFunc(s.o.StateFile.Sysctls(), func(r statefile.Sysctl) bool {
		if _, found := have[r.Key]; found {
			return false
		}
		_, err := s.o.Kernel.Get(r.Key)
		return !errors.Is(err, sysctl.ErrMissing)
	})
}

// ApplyRestore applies Restore, Foreign and Forget of the plan, and updates have.
func (s *Sysctls) ApplyRestore(p SysctlPlan, have map[string]string) (failed []error) {
	forget := slices.Clone(p.Forget)
	kept := map[string]bool{}
	for _, c := range p.Restore {
		if kept[impliedBy(c.Key)] { // restored with it by the next attempt
			continue
		}
		switch _, err := s.o.Kernel.Set(c.Key, c.To); {
		case err == nil:
			have[c.Key] = c.To
			s.o.OnRestore(c)
		case !errors.Is(err, sysctl.ErrMissing): // otherwise it disappeared with its interface or module
			failed = append(failed, err)
			kept[c.Key] = true
			continue
		}
		forget = append(forget, c.Key)
	}
	for _, c := range p.Foreign {
		s.o.OnForeign(c)
	}
	if len(forget) > 0 {
		s.o.Saved(s.o.StateFile.ForgetSysctl(forget...))
	}
	return failed
}

// Follow updates the list of interfaces. The recorded parameters of a renamed interface move to its new name, under
// which the kernel now has our values. Those of an interface that has appeared are set at once, before VIPs come back to it.
func (s *Sysctls) Follow(links []kernel.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	appeared := s.names != nil && slices.ContainsFunc(links, func(l kernel.Link) bool { return s.names[l.Index] == "" })
	s.rename(links)
	if appeared {
		s.keep()
	}
}

// rename is the part of Follow about the records. mu is held.
func (s *Sysctls) rename(links []kernel.Link) {
	now := make(map[int]string, len(links))
	var moved []statefile.Sysctl
	var gone []string
	for _, l := range links {
		now[l.Index] = l.Name
		old, known := s.names[l.Index]
		if !known || old == l.Name {
			continue
		}
		for _, r := range s.o.StateFile.Sysctls() {
			if key, of := s.renamed(r.Key, old, l.Name); of {
				moved = append(moved, statefile.Sysctl{Key: key, Found: r.Found, Wrote: r.Wrote})
				gone = append(gone, r.Key)
			}
		}
	}
	s.names = now
	if len(moved) == 0 {
		return
	}
	s.o.Saved(s.o.StateFile.RecordSysctl(moved...))
	gone = slices.DeleteFunc(gone, func(key string) bool { // another interface has the name now
		return slices.ContainsFunc(moved, func(m statefile.Sysctl) bool { return m.Key == key })
	})
	s.o.Saved(s.o.StateFile.ForgetSysctl(gone...))
}

// renamed returns the key of an interface's parameter under the interface's new name; of is false if the key does not
// belong to that interface.
func (s *Sysctls) renamed(key, old, now string) (as string, of bool) {
	if name, six := strings.CutPrefix(key, conf6+old+"/"); six {
		return conf6 + now + "/" + name, true
	}
	name, of := confParameter(key, old)
	if of && impliedBy(key) != "" {
		return conf4 + now + "/" + name, true
	}
	return s.o.ConfKey(now, name), of
}

// confParameter returns the name of an interface's parameter; of is false if the key does not belong to that interface.
func confParameter(key, iface string) (name string, of bool) {
	if name, of = strings.CutPrefix(key, "net/ipv4/conf/"+iface+"/"); of || strings.Contains(iface, ".") {
		return name, of
	}
	return strings.CutPrefix(key, "net.ipv4.conf."+iface+".")
}
