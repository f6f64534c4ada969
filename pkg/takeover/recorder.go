package takeover

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/replication"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Server is a database whose positions are recorded.
type Server struct {
	Address      netip.AddrPort
	User         string
	PasswordFile string
	From         string // config.Check.Source
	// Interval is that at which it is asked, and Timeout limits each of these questions.
	Interval, Timeout time.Duration
}

// Wanted is an instance whose take-overs are recorded.
type Wanted struct {
	Name   string // in the cluster file
	Server Server
}

// TakeOver is an instance that has become MASTER.
type TakeOver struct {
	Instance config.InstanceID
	Reason   string
	At       time.Time
}

// Options are the dependencies of a Recorder; all are required. The functions are called from several goroutines.
type Options struct {
	Node string
	// Ask asks a database for its positions, until ctx ends.
	Ask func(ctx context.Context, s Server) (replication.Positions, error)
	// Write keeps a record on disk. It may block.
	Write func(Record) error
	// Written is called after Write, with its error, and must not block.
	Written func(Record, error)
	// Changed is called when Failures has changed, and must not block.
	Changed func()
}

// Failure is a database that could not be asked the last time, or not for everything.
type Failure struct {
	Server Server
	Name   string // of the first of its instances
	Text   string
}

const (
	// askWithin limits the question at the moment of a take-over.
	askWithin = 200 * time.Millisecond
	// writtenWithin is how long the end waits for the disk.
	writtenWithin = time.Second
	// queued is how many records may wait for the disk.
	queued = 16
)

// Recorder records take-overs. Its methods may be called from any goroutine and do not block.
type Recorder struct {
	o       Options
	ready   task.Latch
	records chan Record
	poke    chan struct{}   // capacity 1: there are other databases
	ctx     context.Context // of the questions
	end     func()

	mu      sync.Mutex // guards all below
	ended   bool
	want    map[config.InstanceID]Wanted
	servers map[Server]*server
	last    map[config.InstanceID]Record
	running sync.WaitGroup
}

// server is what is known about a database.
type server struct {
	due       time.Time
	asking    bool
	positions *replication.Positions // nil: none yet
	asked     time.Time              // when they were asked for
	failure   string                 // of the last question; "" for none
}

// New returns a Recorder for no instance. Take-overs before Run are written when it runs.
func New(o Options) *Recorder {
	ctx, end := context.WithCancel(context.Background())
	return &Recorder{
		o: o, ctx: ctx, end: end, records: make(chan Record, queued), poke: make(chan struct{}, 1), want: map[config.InstanceID]Wanted{}, servers: map[Server]*server{}, last: map[config.InstanceID]Record{},
	}
}

// Name implements task.Task.
func (r *Recorder) Name() string { return "the take-over records" }

// Ready implements task.Task.
func (r *Recorder) Ready() <-chan struct{} { return r.ready.Ready() }

// Set makes these the instances whose take-overs are recorded.
func (r *Recorder) Set(want map[config.InstanceID]Wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = maps.Clone(want)
	used := map[Server]bool{}
	for _, w := range want {
		used[w.Server] = true
		if r.servers[w.Server] == nil {
			r.servers[w.Server] = &server{}
		}
	}
	maps.DeleteFunc(r.servers, func(s Server, _ *server) bool { return !used[s] })
	maps.DeleteFunc(r.last, func(id config.InstanceID, _ Record) bool { _, wanted := want[id]; return !wanted })
	r.wake()
}

// wake makes Run look which databases are due.
func (r *Recorder) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Run asks the databases and writes the records until ctx ends. It returns nil.
func (r *Recorder) Run(ctx context.Context) error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		r.write()
	}()
	defer func() {
		r.mu.Lock()
		r.ended = true // no more questions
		r.mu.Unlock()
		r.end()
		r.running.Wait()
		close(r.records)
		late := time.NewTimer(writtenWithin)
		defer late.Stop()
		select {
		case <-written:
		case <-late.C: // a disk that hangs
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	r.ready.Close()
	for {
		heart.Beat()
		timer.Reset(r.askDue(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-r.poke:
		case <-timer.C:
		}
	}
}

// askDue asks the databases that are due, each in a goroutine of its own. It returns for how long none is.
func (r *Recorder) askDue(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := heartbeat.Until(now, heartbeat.Every)
	for s, state := range r.servers {
		if !state.asking && !now.Before(state.due) {
			state.asking, state.due = true, now.Add(s.Interval)
			r.running.Go(func() { r.ask(s, state) })
		}
		if left := state.due.Sub(now); left > 0 {
			wait = min(wait, left)
		}
	}
	return wait
}

// ask asks a database and keeps its answer.
func (r *Recorder) ask(s Server, state *server) {
	ctx, cancel := context.WithTimeout(r.ctx, s.Timeout)
	defer cancel()
	at := time.Now()
	p, err := r.o.Ask(ctx, s)
	r.mu.Lock()
	before := state.failure
	state.asking = false
	if !time.Now().Before(state.due) { // it took longer than the interval
		r.wake()
	}
	r.keep(state, p, err, at)
	changed := state.failure != before
	r.mu.Unlock()
	if changed {
		r.o.Changed()
	}
}

// keep takes in an answer. mu is held.
func (r *Recorder) keep(state *server, p replication.Positions, err error, at time.Time) {
	switch {
	case err != nil:
		state.failure = err.Error()
		return
	case len(p.Unread) > 0:
		state.failure = p.Unread[0]
	default:
		state.failure = ""
	}
	if state.positions == nil || at.After(state.asked) {
		state.positions, state.asked = &p, at
	}
}

// TookOver records a take-over if its instance is one whose take-overs are recorded.
func (r *Recorder) TookOver(t TakeOver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, wanted := r.want[t.Instance]
	if !wanted || r.ended {
		return
	}
	r.running.Go(func() { r.record(t, w) })
}

// record asks the database once more, and passes the answer, or the last one that there was, to the disk.
func (r *Recorder) record(t TakeOver, w Wanted) {
	ctx, cancel := context.WithTimeout(r.ctx, askWithin)
	defer cancel()
	at := time.Now()
	p, err := r.o.Ask(ctx, w.Server)
	made := Record{Time: t.At, Node: r.o.Node, Instance: w.Name, Reason: t.Reason, Server: w.Server.Address.String()}
	r.mu.Lock()
	state := r.servers[w.Server]
	if state == nil { // it is no longer wanted
		state = &server{}
	}
	r.keep(state, p, err, at)
	switch {
	case err == nil:
		made.Read, made.Positions, made.ReadAt = Fresh, &p, at
	case state.positions != nil:
		made.Read, made.Positions, made.ReadAt = Held, state.positions, state.asked
	default:
		made.Read = None
	}
	if err != nil {
		made.Error = err.Error()
	}
	if _, wanted := r.want[t.Instance]; wanted {
		r.last[t.Instance] = made
	}
	r.mu.Unlock()
	select {
	case r.records <- made:
	default:
		r.o.Written(made, fmt.Errorf("%d records wait for the disk already", queued))
	}
}

// write passes the records to the disk until there are no more.
func (r *Recorder) write() {
	for made := range r.records {
		r.o.Written(made, r.o.Write(made))
	}
}

// Last returns the last record of an instance since the start.
func (r *Recorder) Last(id config.InstanceID) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made, there := r.last[id]
	return made, there
}

// Failures returns the databases that could not be asked the last time, by address.
func (r *Recorder) Failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Failure
	for s, state := range r.servers {
		if state.failure == "" {
			continue
		}
		var names []string
		for _, w := range r.want {
			if w.Server == s {
				names = append(names, w.Name)
			}
		}
		all = append(all, Failure{Server: s, Name: slices.Min(names), Text: state.failure})
	}
	slices.SortFunc(all, func(a, b Failure) int { return a.Server.Address.Compare(b.Server.Address) })
	return all
}
