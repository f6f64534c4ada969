package director

import (
	"strings"
	"testing"
	"time"
)

// TestReloadOfAStalledDirector: a loop that does not take commands is reported in time, and the reload is not applied
// later.
func TestReloadOfAStalledDirector(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip))
		release, stalled := make(chan struct{}), make(chan error, 1)
		go func() { stalled <- m.Director.do(t.Context(), func() { <-release }) }()
		m.pass(time.Millisecond)
		m.file = electing + router("a", "eth0", 51, vip, also)
		begun := time.Now()
		err := m.Reload(t.Context(), true)
		if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), "the director's loop does not answer within") || took > 5*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		close(release)
		if err := <-stalled; err != nil {
			t.Error(err)
		}
		m.pass(time.Second)
		if m.has("eth0", also) {
			t.Error("the reload was applied afterwards")
		}
		m.reload(m.file)
		if !m.has("eth0", also) {
			t.Error("the next reload was not applied")
		}
	})
}

// TestReloadDuringTheStart: it is applied when the start has finished.
func TestReloadDuringTheStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.begin(electing + router("a", "eth0", 51, vip))
		m.file = electing + router("a", "eth0", 51, vip, also)
		if err := m.Reload(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		m.pass(5 * time.Second)
		if !m.has("eth0", vip) || !m.has("eth0", also) {
			t.Errorf("the file read during the start is not in force: %+v", m.Status().Instances)
		}
	})
}
