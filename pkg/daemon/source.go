package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// reloadWithin limits a reload, even if its client has disconnected.
const reloadWithin = time.Minute

const (
	// readWithin limits reading the cluster file and its copy, whose disk may be slow or not answer.
	readWithin = 10 * time.Second
	// copyWithin limits reading the copy at a start that does not need it: the start must not wait for its disk.
	copyWithin = time.Second
	// partWithin is how long a stopping daemon waits for a copy in progress.
	partWithin = time.Second
)

// source provides a daemon's cluster file: the file itself or, if it cannot be used at the start, the last good copy.
// It reports problems with them.
type source struct {
	path      string
	copy      clusterfile.LastGood
	log       *slog.Logger
	record    func(event.Event)
	judge     func(before, cfg *config.Config) error // see Program.Judge
	told      func()                                 // is called when a file has been applied, and must return at once
	file      *disk                                  // of the cluster file
	reloading chan struct{}                          // lock for reloads
	pending   chan []byte                            // the data to copy; only the newest
	unsaved   bool                                   // owned by keep
	drift     *drift
	memory    memory

	mu     sync.Mutex
	warned map[warning]bool // the warnings of the last valid file
	read   []byte           // the bytes validated last, until they are applied
	// loaded is the configuration validated last, running the one in force.
	loaded, running *config.Config
	// stale is set while the copy runs. refused is the reason why the current file does not run; "" if it does.
	stale, refused string
	refusedAt      time.Time
	// refusedRunning: the refused file is the one that runs, and this machine can no longer run it.
	refusedRunning bool
}

func newSource(path, stateDir string, log *slog.Logger) *source {
	s := &source{
		path: path, copy: clusterfile.LastGoodIn(stateDir), log: log, record: journal.Log(log), told: func() {}, file: newDisk(),
		reloading: make(chan struct{}, 1), pending: make(chan []byte, 1),
	}
	s.drift = newDrift(path, log, s.restored)
	return s
}

// load reads the cluster file and logs its warnings.
func (s *source) load() (*config.Config, error) {
	data, err := s.bytes()
	if err != nil {
		return nil, err
	}
	f, err := clusterfile.Validate(s.path, data)
	s.warn(f.Problems)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.loaded = f.Data, f.Config
	return f.Config, nil
}

// bytes reads the cluster file.
func (s *source) bytes() ([]byte, error) {
	data, err := ask(s.file, readWithin, func() ([]byte, error) { return clusterfile.Bytes(s.path) })
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("cluster file %s: %w within %s: repair it", s.path, err, readWithin)
	}
	return data, err
}

// other validates a cluster file that is not to be applied: data, which the client read from name, or the cluster file on
// disk if name is "".
func (s *source) other(name string, data []byte) (*config.Config, error) {
	if name == "" {
		var err error
		if data, err = s.bytes(); err != nil {
			return nil, err
		}
		name = s.path
	}
	f, err := clusterfile.Validate(name, data)
	return f.Config, err
}

// warning identifies a warning about a cluster file, wherever it is in the file.
type warning struct{ path, message string }

// warn logs the warnings that the last valid file did not have.
func (s *source) warn(problems config.Problems) {
	if problems.Failed() {
		return
	}
	now := map[warning]bool{}
	s.mu.Lock()
	before := s.warned
	s.warned = now
	s.mu.Unlock()
	for _, p := range problems {
		w := warning{p.Path, p.Message}
		if now[w] = true; !before[w] {
			p.Warning = false // the line's level says it
			s.log.Warn("cluster file", "problem", p.String())
		}
	}
}

// begin reads the configuration at the start: the cluster file, else the last good copy. If neither can be used, it
// returns the error of the cluster file. The copy is not used beside another daemon of the same role.
func (s *source) begin(beside bool) (*config.Config, error) {
	cfg, err := s.load()
	if beside {
		return cfg, err
	}
	var good lastGood
	var copyErr error
	if err == nil {
		if good, err = s.refusal(cfg); err == nil {
			return cfg, nil
		}
	} else if good, copyErr = s.lastGood(readWithin); copyErr != nil {
		if !clusterfile.Absent(copyErr) {
			s.log.Error("the last good copy of the cluster file cannot be used either", "copy", s.copy.Path(), "error", copyErr)
		}
		return nil, err
	}
	for line := range strings.Lines(err.Error()) {
		s.log.Error("cluster file", "problem", strings.TrimSpace(line))
	}
	s.log.Error("the cluster file cannot be used; the last good copy runs: correct the file and reload",
		"copy", s.copy.Path(), "saved", good.saved.Format(time.RFC3339))
	s.warn(good.Problems)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = fmt.Sprintf("the cluster file cannot be used, and the last good copy %s, saved %s, runs since %s: correct the file, then run lvsctl reload",
		s.copy.Path(), good.saved.Format("2006-01-02 15:04"), time.Now().Format("2006-01-02 15:04:05"))
	s.read, s.refused, s.refusedAt, s.loaded = nil, summary(err), time.Now(), good.Config
	return good.Config, nil
}

// restored is told that the file on disk was the one that runs, at some time after began: a file that was refused
// earlier is gone, and a start would run what runs now.
func (s *source) restored(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != "" && !s.refusedRunning && began.After(s.refusedAt) {
		s.stale, s.refused = "", ""
	}
}

// lastGood is the copy of the file that ran last.
type lastGood struct {
	clusterfile.File
	saved time.Time
}

func (s *source) lastGood(within time.Duration) (lastGood, error) {
	good, err := ask(newDisk(), within, func() (good lastGood, err error) {
		good.Data, good.saved, err = s.copy.Read()
		return good, err
	})
	if err == nil {
		good.File, err = clusterfile.Validate(s.copy.Path(), good.Data)
	}
	return good, err
}

// refusal returns why a valid file must not run at the start, and the last good copy to run instead: a reload would
// refuse the file, and this machine can run the copy. Without such a copy there is no reason.
func (s *source) refusal(cfg *config.Config) (lastGood, error) {
	if s.judge == nil {
		return lastGood{}, nil
	}
	good, err := s.lastGood(copyWithin)
	if err != nil || good.Config.Digest == cfg.Digest {
		return lastGood{}, nil
	}
	err = s.judge(good.Config, cfg)
	if err == nil || s.judge(&config.Config{}, good.Config) != nil {
		return lastGood{}, nil
	}
	return good, err
}

// reload applies the current file. Reloads are serialized, so that the copy is the applied file. A reload is not
// canceled when its client disconnects, so that no file is applied only partially.
func (s *source) reload(ctx context.Context, service Service, force bool, author string) error {
	select {
	case s.reloading <- struct{}{}:
		defer func() { <-s.reloading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadWithin)
	defer cancel()
	s.memory.working()
	defer s.memory.used()
	err := service.Reload(ctx, force)
	if err != nil {
		s.record(event.Event{Kind: event.ReloadRefused, Subject: s.path, Reason: fmt.Sprintf("asked by %s: %v", author, err)})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refusedRunning = s.read != nil && digestOf(s.loaded) == digestOf(s.running)
		s.read, s.refused, s.refusedAt = nil, summary(err), time.Now()
		return err
	}
	s.mu.Lock()
	e := event.Event{Kind: event.ReloadApplied, Subject: s.path, From: digestOf(s.running), To: digestOf(s.loaded), Reason: "reloaded by " + author + ": " + s.loaded.Summary()}
	s.mu.Unlock()
	s.applied()
	s.record(e)
	return nil
}

func digestOf(cfg *config.Config) string {
	if cfg == nil {
		return ""
	}
	return cfg.Digest
}

// runningDigest returns the digest of the file that runs; "" before one does.
func (s *source) runningDigest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return digestOf(s.running)
}

// runningFile returns the file that runs; nil before one does. It must not be modified.
func (s *source) runningFile() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// summary describes the last validated file in one line.
func (s *source) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded.Summary()
}

// applied records that the file read last is running, and queues it for copying.
func (s *source) applied() {
	s.mu.Lock()
	data := s.read
	s.running = s.loaded
	if data != nil {
		s.read, s.stale, s.refused = nil, "", ""
	}
	s.mu.Unlock()
	s.told()
	if data == nil { // the copy is running
		return
	}
	select {
	case <-s.pending: // an older one
	default:
	}
	select {
	case s.pending <- data:
	default:
	}
}

// keep saves the copies until ctx ends. It has its own goroutine because the disk may be slow.
func (s *source) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select {
			case data := <-s.pending:
				s.save(ctx, data)
			default:
			}
			return
		case data := <-s.pending:
			s.save(ctx, data)
		}
	}
}

// save writes a copy, and waits for it until partWithin after the end of ctx.
func (s *source) save(ctx context.Context, data []byte) {
	saved := make(chan error, 1)
	go func() { saved <- s.copy.Save(data) }()
	var err error
	select {
	case err = <-saved:
	case <-ctx.Done():
		select {
		case err = <-saved:
		case <-time.After(partWithin):
			err = fmt.Errorf("%s: %w", s.copy.Path(), errNoAnswer)
		}
	}
	switch {
	case err == nil && s.unsaved:
		s.log.Info("the copy of the cluster file is saved again", "copy", s.copy.Path())
		s.unsaved = false
	case err != nil && !s.unsaved:
		s.log.Warn("cannot save a copy of the cluster file; a start with a broken file could not fall back to it", "error", err)
		s.unsaved = true
	}
}

// problems are the problems of the cluster file.
func (s *source) problems() []problem.Finding {
	found := s.drift.problems()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stale != "":
		found = append(found, problem.Finding{Code: problem.ClusterFileUnusable, Text: s.stale + ": " + s.refused})
	case s.refused != "":
		found = append(found, problem.Finding{Code: problem.ReloadRefused, Text: "the last reload was refused, the former cluster file stays in force: " + s.refused})
	}
	return found
}

// summary is the first line of an error and the number of further lines.
func summary(err error) string {
	first, rest, more := strings.Cut(err.Error(), "\n")
	if !more {
		return first
	}
	return fmt.Sprintf("%s (and %d more)", first, strings.Count(rest, "\n")+1)
}
