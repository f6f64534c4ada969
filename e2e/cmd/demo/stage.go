package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// stage is what the lab needs instead of a *testing.T.
type stage struct {
	story *story

	mu       sync.Mutex
	failed   bool
	cleanups []func()
	once     sync.Once
}

var _ lab.T = (*stage)(nil)

// Helper implements lab.T.
func (s *stage) Helper() {}

// Name implements lab.T.
func (s *stage) Name() string { return "demo" }

// Logf implements lab.T: what the lab has to say is the evidence of a failure, hundreds of lines. It is printed where
// somebody collects it.
func (s *stage) Logf(format string, args ...any) {
	if lab.OutDir() != "" || os.Getenv("CI") != "" {
		s.story.block(fmt.Sprintf(format, args...))
	}
}

// Errorf implements lab.T.
func (s *stage) Errorf(format string, args ...any) {
	s.fail()
	s.story.trouble(fmt.Sprintf(format, args...))
}

// Fatalf implements lab.T: it ends the goroutine of the show.
func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *stage) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// Failed implements lab.T.
func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Cleanup implements lab.T.
func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// clear runs the cleanups once, the newest first.
func (s *stage) clear() {
	s.once.Do(func() {
		s.mu.Lock()
		cleanups := slices.Clone(s.cleanups)
		s.mu.Unlock()
		for _, f := range slices.Backward(cleanups) {
			f()
		}
	})
}
