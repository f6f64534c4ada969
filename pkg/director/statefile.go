package director

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// stateFile is the state file with its keeper, which saves what could not be saved and restores what somebody removed, apart from
// the director's own goroutine, for a disk that hangs must not keep a lost carrier waiting.
type stateFile struct {
	*statefile.File
	log     *slog.Logger
	ready   task.Latch
	unsaved atomic.Pointer[string] // why it could not be saved; nil: it could
}

func openStateFile(dir string, log *slog.Logger) (*stateFile, error) {
	l, err := statefile.Open(dir)
	if err != nil {
		return nil, err
	}
	s := &stateFile{File: l, log: log}
	if warning := l.Warning(); warning != "" {
		log.Warn("state", "problem", warning)
	}
	s.saved(l.Keep())
	return s, nil
}

// Name implements task.Task.
func (s *stateFile) Name() string { return "the keeper of the state file" }

// Ready is closed when the keeper runs.
func (s *stateFile) Ready() <-chan struct{} { return s.ready.Ready() }

// Run keeps the file until ctx ends.
func (s *stateFile) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	s.ready.Close()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			heart.Beat()
			s.saved(s.Keep())
		}
	}
}

// saved takes note of whether the stateFile reached the disk. Where it did not, the stateFile remembers in memory, and a full
// disk is no reason to let the service down: it is said once, and the work goes on.
func (s *stateFile) saved(err error) {
	var text *string
	if err != nil {
		text = new(err.Error())
	}
	switch before := s.unsaved.Swap(text); {
	case err != nil && before == nil:
		s.log.Warn("cannot save what is ours in the kernel; a crash now would forget some of it", "error", err)
	case err == nil && before != nil:
		s.log.Info("what is ours in the kernel is saved again")
	}
}

// Problem says why the file could not be saved; "" when it could.
func (s *stateFile) Problem() string {
	if p := s.unsaved.Load(); p != nil {
		return *p
	}
	return ""
}

// recordServices writes down what is about to be ours, forgetServices what is not any more.
func (s *stateFile) recordServices(want []lvs.Service) {
	all := make([]lvs.Key, len(want))
	for i, service := range want {
		all[i] = service.Key
	}
	s.saved(s.RecordService(all...))
}

func (s *stateFile) forgetServices(gone []lvs.Key) { s.saved(s.ForgetService(gone...)) }
