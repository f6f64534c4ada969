package director

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// stateFile is the state file with a loop that retries failed saves and restores a file that was removed. It has its
// own goroutine, because the reaction to a lost carrier must not wait for a disk that hangs.
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

// Ready is closed when the loop is running.
func (s *stateFile) Ready() <-chan struct{} { return s.ready.Ready() }

// Run saves and restores the file until ctx ends.
func (s *stateFile) Run(ctx context.Context) error {
	s.ready.Close()
	err := task.Every(ctx, lookEvery, func() { s.saved(s.Keep()) })
	s.saved(s.Keep()) // what was noted last
	return err
}

// saved records whether the state file was written to disk. If not, the content is kept in memory: a full disk must not
// stop the service, so the error is logged once and work goes on.
func (s *stateFile) saved(err error) {
	var text *string
	if err != nil {
		text = new(err.Error())
	}
	switch before := s.unsaved.Swap(text); {
	case err != nil && before == nil:
		s.log.Warn("cannot write the state file; after a crash some VIPs, virtual servers or sysctls might not be cleaned up", "error", err)
	case err == nil && before != nil:
		s.log.Info("the state file is written again")
	}
}

// Problem returns why the file could not be saved; "" if it was saved.
func (s *stateFile) Problem() string {
	if p := s.unsaved.Load(); p != nil {
		return *p
	}
	return ""
}

// recordServices records virtual servers before they are created.
func (s *stateFile) recordServices(want []lvs.Service) {
	all := make([]lvs.Key, len(want))
	for i, service := range want {
		all[i] = service.Key
	}
	s.saved(s.RecordService(all...))
}

// forgetServices removes the records of virtual servers that have been deleted.
func (s *stateFile) forgetServices(gone []lvs.Key) { s.saved(s.ForgetService(gone...)) }
