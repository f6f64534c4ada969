package tracking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/process"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

const (
	// findEvery is how often all processes are listed, and findFollowing that while the kernel tells which programs begin.
	findEvery     = time.Second
	findFollowing = 5 * time.Second
	// lookedAtMost is how many processes that have become another program wait for a look; with more, all are listed.
	lookedAtMost = 256
	// awaitedMost is of how many processes the end is awaited; that of others is noticed by the next list.
	awaitedMost = 4096
)

// ProcessKernel is the access to processes.
type ProcessKernel interface {
	Processes() ProcessFinder
	// AwaitProcess calls ended once, in a goroutine of its own, when a process has ended, unless stop was called before. The
	// error is os.ErrProcessDone if it is gone.
	AwaitProcess(pid int, ended func()) (stop func(), err error)
	// FollowProcesses calls deliver for each process that becomes another program, with 0 when it may have missed some, and
	// before that ready. The error is process.ErrNoEvents where the kernel sends none.
	FollowProcesses(ctx context.Context, ready func(), deliver func(pid int)) error
}

// ProcessFinder finds processes; see process.Table. Its methods may block for ever.
type ProcessFinder interface {
	Set([]process.Query)
	Find() ([][]int, error)
	Look(pid int) []int
}

// Processes watches processes. Make one with NewProcesses.
type Processes struct {
	*board
	kernel ProcessKernel
	log    *slog.Logger

	// Owned by Run.
	watches   []config.WatchedProcess
	states    []processState // of watches
	set       int            // counts the changes of watches
	jobs      chan job
	results   chan found
	exits     chan int
	changes   chan int // processes that have become another program
	following chan bool
	follows   bool
	unread    string         // why the processes could not be listed; "" if they were
	begun     time.Time      // of the job that has not returned; zero: none
	next      time.Time      // when all are to be listed
	looks     []int          // waiting for the end of the job
	gone      map[int]bool   // ended since the begin of the job
	awaited   map[int]func() // stops the wait for an end
}

// processState is what is known of a watch.
type processState struct {
	running  map[int]bool // nil: not known yet
	debounce health.Debounce
}

// job is a question to the finder: about one process, or 0 for all of them.
type job struct {
	set     int             // the number of the set of watches
	queries []process.Query // nil: those of the previous job
	pid     int
}

// found is the answer.
type found struct {
	set int // of the job
	pid int
	// of one process: the queries that it matches; of all: the processes that match each query.
	matches []int
	all     [][]int
	err     error
}

// NewProcesses returns a Processes.
func NewProcesses(kernel ProcessKernel, log *slog.Logger, changed Changed) *Processes {
	return &Processes{
		board: newBoard(changed), kernel: kernel, log: log,
		jobs: make(chan job, 1), results: make(chan found), exits: make(chan int), changes: make(chan int, lookedAtMost), following: make(chan bool),
		gone: map[int]bool{}, awaited: map[int]func(){},
	}
}

// Set replaces the tracks; only those of processes count. It returns at once.
func (p *Processes) Set(all []plan.Watch) { p.put(only[config.WatchedProcess](all)) }

// Name implements task.Task.
func (p *Processes) Name() string { return "the watcher of tracked processes" }

// Run watches until ctx ends. It returns nil, without waiting for a read of /proc that does not return.
func (p *Processes) Run(ctx context.Context) error {
	defer func() {
		for _, stop := range p.awaited {
			stop()
		}
	}()
	started := false
	heart := heartbeat.From(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		heart.Beat()
		if !started && len(p.watches) > 0 { // without tracks it costs nothing
			started = true
			go p.find(ctx)
			go p.follow(ctx)
		}
		if started {
			p.ask(time.Now())
		}
		timer.Reset(p.judge(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			p.replace()
		case f := <-p.results:
			p.take(ctx, f)
		case pid := <-p.exits:
			p.ended(pid)
		case pid := <-p.changes:
			p.look(pid)
		case p.follows = <-p.following:
			p.next = time.Time{} // what began before the first event
		case <-timer.C:
		}
	}
}

// find answers jobs.
func (p *Processes) find(ctx context.Context) {
	finder := p.kernel.Processes()
	for {
		var j job
		select {
		case <-ctx.Done():
			return
		case j = <-p.jobs:
		}
		if j.queries != nil {
			finder.Set(j.queries)
		}
		f := found{set: j.set, pid: j.pid}
		if j.pid == 0 {
			f.all, f.err = finder.Find()
		} else {
			f.matches = finder.Look(j.pid)
		}
		select {
		case <-ctx.Done():
			return
		case p.results <- f:
		}
	}
}

// follow receives the events of the kernel, where it sends some.
func (p *Processes) follow(ctx context.Context) {
	tell := func(follows bool) {
		select {
		case p.following <- follows:
		case <-ctx.Done():
		}
	}
	err := p.kernel.FollowProcesses(ctx, func() { tell(true) }, func(pid int) {
		select {
		case p.changes <- pid:
		case <-ctx.Done():
		}
	})
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, process.ErrNoEvents):
		p.log.Debug("processes that begin are noticed within a second", "reason", err)
	case err != nil:
		p.log.Warn("processes that begin are noticed within a second only", "error", err)
		tell(false)
	}
}

// replace takes the tracks that have been set.
func (p *Processes) replace() {
	var watches []config.WatchedProcess
	var states []processState
	for _, watch := range p.wanted() {
		w, is := watch.(config.WatchedProcess)
		if !is {
			continue
		}
		state := processState{debounce: health.NewDebounce(w.Delays.Up, w.Delays.Down)}
		if at := slices.Index(p.watches, w); at >= 0 {
			state = p.states[at]
		} else if at := slices.IndexFunc(p.watches, func(old config.WatchedProcess) bool { return selection(old) == selection(w) }); at >= 0 {
			state.running = p.states[at].running
		}
		watches, states = append(watches, w), append(states, state)
	}
	if !slices.Equal(watches, p.watches) {
		p.watches, p.states, p.looks, p.next = watches, states, nil, time.Time{}
		p.set++
	}
}

// selection is the part of a watch that selects processes.
func selection(w config.WatchedProcess) [3]string {
	return [3]string{w.Process, w.CommandLine, w.Owner}
}

// queries returns those of the watches.
func (p *Processes) queries() []process.Query {
	all := make([]process.Query, len(p.watches))
	for n, w := range p.watches {
		all[n] = process.Query{Name: w.Process, Owner: w.Owner}
		if w.CommandLine != "" {
			all[n].CommandLine, _ = regexp.Compile(w.CommandLine) // the parser has compiled it
		}
	}
	return all
}

// ask gives the finder its next job if it has none.
func (p *Processes) ask(now time.Time) {
	if !p.begun.IsZero() || len(p.watches) == 0 {
		return
	}
	switch {
	case !now.Before(p.next):
		j := job{set: p.set}
		if p.next.IsZero() {
			j.queries = p.queries()
		}
		p.looks = nil
		p.next = now.Add(findEvery)
		if p.follows {
			p.next = now.Add(findFollowing)
		}
		p.jobs <- j
	case len(p.looks) > 0:
		p.jobs <- job{set: p.set, pid: p.looks[0]}
		p.looks = p.looks[1:]
	default:
		return
	}
	p.begun = now
	clear(p.gone)
}

// look notes that a process has become another program; 0: any has.
func (p *Processes) look(pid int) {
	if pid == 0 || len(p.looks) >= lookedAtMost {
		p.next = time.Now()
		return
	}
	if !slices.Contains(p.looks, pid) {
		p.looks = append(p.looks, pid)
	}
}

// ended notes the end of a process.
func (p *Processes) ended(pid int) {
	delete(p.awaited, pid)
	p.gone[pid] = true
	for _, s := range p.states {
		delete(s.running, pid)
	}
}

// take processes an answer of the finder.
func (p *Processes) take(ctx context.Context, f found) {
	p.begun = time.Time{}
	switch {
	case f.set != p.set:
		return
	case f.err != nil:
		p.unread = f.err.Error()
		return
	case f.pid != 0:
		for n, s := range p.states {
			if s.running == nil {
				continue
			}
			delete(s.running, f.pid)
			if slices.Contains(f.matches, n) {
				s.running[f.pid] = true
			}
		}
	default:
		p.unread = ""
		for n, pids := range f.all {
			p.states[n].running = map[int]bool{}
			for _, pid := range pids {
				p.states[n].running[pid] = true
			}
		}
	}
	p.await(ctx)
}

// await awaits the ends of the processes that are known, and only of those.
func (p *Processes) await(ctx context.Context) {
	wanted := map[int]bool{}
	for _, s := range p.states {
		for pid := range s.running {
			if p.gone[pid] {
				delete(s.running, pid)
				continue
			}
			wanted[pid] = true
		}
	}
	for pid, stop := range p.awaited {
		if !wanted[pid] {
			stop()
			delete(p.awaited, pid)
		}
	}
	for pid := range wanted {
		if p.awaited[pid] != nil || len(p.awaited) >= awaitedMost {
			continue
		}
		stop, err := p.kernel.AwaitProcess(pid, func() {
			select {
			case p.exits <- pid:
			case <-ctx.Done():
			}
		})
		if err == nil {
			p.awaited[pid] = stop
		}
		if errors.Is(err, os.ErrProcessDone) {
			p.ended(pid)
		}
	}
}

// judge publishes the verdicts, and returns when to do that again.
func (p *Processes) judge(now time.Time) time.Duration {
	wait := heartbeat.Until(now, heartbeat.Every)
	if len(p.watches) > 0 && p.begun.IsZero() {
		wait = min(wait, max(p.next.Sub(now), 0))
	}
	unread := p.unread
	if late := now.Sub(p.begun); !p.begun.IsZero() && late >= readWithin {
		unread = fmt.Sprintf("reading /proc has not returned for %s (a process may be stuck: ps -eo pid,stat,wchan,comm)", late.Round(time.Second))
	}
	for n, w := range p.watches {
		s := &p.states[n]
		if unread != "" {
			p.publish(w, kept(p.verdict(w), health.Unreadable, unread), now)
			continue
		}
		if s.running == nil {
			continue
		}
		good := len(s.running) >= w.AtLeast && (w.AtMost == 0 || len(s.running) <= w.AtMost)
		s.debounce = s.debounce.Step(now, good)
		up, _ := s.debounce.Up()
		reason := running(w, s.running)
		if due, pending := s.debounce.Due(); pending {
			wait = min(wait, max(due.Sub(now), 0))
			reason += delayed(up, w.Delays)
		}
		p.publish(w, judged(up, good, reason), now)
	}
	return wait
}

// running describes the processes of a watch: "process mysqld runs (1234)".
func running(w config.WatchedProcess, pids map[int]bool) string {
	what := "process " + w.Process
	if w.CommandLine != "" {
		what = "process with a command line that matches " + quoted(w.CommandLine)
	}
	if w.Owner != "" {
		what += " of user " + w.Owner
	}
	var limits []string
	if w.AtLeast > 1 || w.AtMost > 0 {
		limits = append(limits, fmt.Sprintf("at_least %d", w.AtLeast))
	}
	if w.AtMost > 0 {
		limits = append(limits, fmt.Sprintf("at_most %d", w.AtMost))
	}
	limit := ""
	if limits != nil {
		limit = ", " + strings.Join(limits, ", ")
	}
	switch len(pids) {
	case 0:
		return "no " + what + " runs" + limit
	case 1:
		for pid := range pids {
			return what + " runs (" + strconv.Itoa(pid) + limit + ")"
		}
	}
	return fmt.Sprintf("%s runs %d times%s", what, len(pids), limit)
}
