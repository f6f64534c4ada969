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
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
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

// SysctlRecords remembers what was found before it was changed. An error says that it remembers in memory only.
type SysctlRecords interface {
	Sysctls() []statefile.Sysctl
	RecordSysctl(more ...statefile.Sysctl) error
	ForgetSysctl(keys ...string) error
}

// SysctlOptions are what Sysctls needs; all are required but those that say otherwise.
type SysctlOptions struct {
	Kernel    SysctlKernel
	StateFile SysctlRecords
	// ConfKey is how the wanted keys spell an interface's parameter under net.ipv4.conf.
	ConfKey func(iface, name string) string
	// Optional says which keys a kernel may lack, because they come and go with an interface. Nil: all.
	Optional func(key string) bool
	// RecordRight records also values that are right already: they are what the machine had, should somebody change
	// them later.
	RecordRight bool
	// Saved is told how each saving of the stateFile went.
	Saved func(error)
	// WasSet and GivenBack are told of each change, LeftAlone of a value of ours that somebody else has changed since, which
	// is not given back. LeftAlone is optional.
	WasSet, GivenBack, LeftAlone func(SysctlChange)
	Log                          *slog.Logger
}

// Sysctls keeps kernel parameters at wanted values. Before it writes one it records what it found; what is not wanted any
// more it gives back, unless somebody else has changed it meanwhile. Its methods may be called from any goroutine.
type Sysctls struct {
	o       SysctlOptions
	problem atomic.Pointer[string]
	ready   task.Latch

	mu    sync.Mutex // guards want and names, and keeps two passes apart
	want  map[string]string
	names map[int]string // of the interfaces, by index, as they were seen last
}

// sysctlsEvery is how often parameters are read; they have no events.
const sysctlsEvery = time.Second

// NewSysctls makes the keeper; nothing is wanted yet.
func NewSysctls(o SysctlOptions) *Sysctls {
	if o.Optional == nil {
		o.Optional = func(string) bool { return true }
	}
	if o.LeftAlone == nil {
		o.LeftAlone = func(SysctlChange) {}
	}
	return &Sysctls{o: o}
}

// Set makes the parameters right now, and has Run keep them so. Those that are no longer wanted stay as they are until
// GiveBack. The error is the first of what could not be set; the others were.
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

// Run puts right what somebody else sets, and what comes with an interface, until ctx ends. It returns nil.
func (s *Sysctls) Run(ctx context.Context) error {
	tick := time.NewTicker(sysctlsEvery)
	defer tick.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			heart.Beat()
			s.keep()
		}
	}
}

func (s *Sysctls) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.pass()
	if err == nil {
		s.problem.Store(nil)
		return
	}
	text := err.Error()
	if before := s.problem.Swap(&text); before == nil || *before != text {
		s.o.Log.Error("cannot keep the sysctls right; trying again", "error", text)
	}
}

// Problem says why a parameter is not as it should be; "" when all are.
func (s *Sysctls) Problem() string {
	if p := s.problem.Load(); p != nil {
		return *p
	}
	return ""
}

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

// Look reads the values of what is wanted and of what is recorded. A parameter that the kernel does not have is absent; so
// is one that cannot be read, which is an error.
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

// Record writes down what is found of what is about to be changed.
func (s *Sysctls) Record(want, have map[string]string) {
	var changes []statefile.Sysctl
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if found, exists := have[key]; exists && (s.o.RecordRight || found != want[key]) {
			changes = append(changes, statefile.Sysctl{Key: key, Found: found, Wrote: want[key]})
		}
	}
	if len(changes) > 0 {
		s.o.Saved(s.o.StateFile.RecordSysctl(changes...))
	}
}

// Write sets parameters and brings have up to date.
func (s *Sysctls) Write(changes []SysctlChange, have map[string]string) (failed []error) {
	for _, c := range changes {
		_, err := s.o.Kernel.Set(c.Key, c.To)
		switch {
		case err == nil:
			have[c.Key] = c.To
			s.o.WasSet(c)
		case !errors.Is(err, sysctl.ErrMissing) || !s.o.Optional(c.Key): // else its interface has just gone
			failed = append(failed, err)
		}
	}
	return failed
}

// GiveBack gives back everything that is recorded and not among want. What cannot be read or written now stays recorded.
func (s *Sysctls) GiveBack(want map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, failed := s.Look(nil)
	failed = append(failed, s.TakeBack(DiffSysctls(want, have, s.Readable(have)), have)...)
	for i, err := range failed {
		failed[i] = fmt.Errorf("restore a sysctl: %w", err)
	}
	return errors.Join(failed...)
}

// Readable are the recorded parameters of which it is known how they stand: those that Look has found, and those that the
// kernel does not have any more.
func (s *Sysctls) Readable(have map[string]string) []statefile.Sysctl {
	return slices.DeleteFunc(s.o.StateFile.Sysctls(), func(r statefile.Sysctl) bool {
		if _, found := have[r.Key]; found {
			return false
		}
		_, err := s.o.Kernel.Get(r.Key)
		return !errors.Is(err, sysctl.ErrMissing)
	})
}

// TakeBack carries out the plan's way back.
func (s *Sysctls) TakeBack(p SysctlPlan, have map[string]string) (failed []error) {
	forget := slices.Clone(p.Forget)
	for _, c := range p.Restore {
		switch _, err := s.o.Kernel.Set(c.Key, c.To); {
		case err == nil:
			have[c.Key] = c.To
			s.o.GivenBack(c)
		case !errors.Is(err, sysctl.ErrMissing): // else it went with its interface or module
			failed = append(failed, err)
			continue
		}
		forget = append(forget, c.Key)
	}
	for _, c := range p.Foreign {
		s.o.LeftAlone(c)
	}
	if len(forget) > 0 {
		s.o.Saved(s.o.StateFile.ForgetSysctl(forget...))
	}
	return failed
}

// Follow takes in which interfaces there are. The recorded parameters of one that was renamed get its new name, where the
// kernel shows our values now.
func (s *Sysctls) Follow(links []kernel.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
			if name, of := confParameter(r.Key, old); of {
				moved = append(moved, statefile.Sysctl{Key: s.o.ConfKey(l.Name, name), Found: r.Found, Wrote: r.Wrote})
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

// confParameter is the name of an interface's parameter; of is false for what is not of that interface.
func confParameter(key, iface string) (name string, of bool) {
	if name, of = strings.CutPrefix(key, "net/ipv4/conf/"+iface+"/"); of || strings.Contains(iface, ".") {
		return name, of
	}
	return strings.CutPrefix(key, "net.ipv4.conf."+iface+".")
}
