package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// labT is the demo's lab.T, in place of a *testing.T.
type labT struct {
	timeline *timeline

	mu       sync.Mutex
	failed   bool
	cleanups []func()
	once     sync.Once
}

var _ lab.T = (*labT)(nil)

// Helper implements lab.T.
func (s *labT) Helper() {}

// Name implements lab.T.
func (s *labT) Name() string { return "demo" }

// Logf implements lab.T. The lab only logs the evidence of a failure, hundreds of lines. It is printed only in CI or if
// there is a directory for evidence.
func (s *labT) Logf(format string, args ...any) {
	if lab.OutDir() != "" || os.Getenv("CI") != "" {
		s.timeline.block(fmt.Sprintf(format, args...))
	}
}

// Errorf implements lab.T.
func (s *labT) Errorf(format string, args ...any) {
	s.fail()
	s.timeline.printError(fmt.Sprintf(format, args...))
}

// Fatalf implements lab.T: it ends the calling goroutine.
func (s *labT) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *labT) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// Failed implements lab.T.
func (s *labT) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Cleanup implements lab.T.
func (s *labT) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// cleanup runs the cleanups once, in reverse order.
func (s *labT) cleanup() {
	s.once.Do(func() {
		s.mu.Lock()
		cleanups := slices.Clone(s.cleanups)
		s.mu.Unlock()
		for _, f := range slices.Backward(cleanups) {
			f()
		}
	})
}
