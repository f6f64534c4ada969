package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/internal/require"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const long = time.Minute // never reached

// sleeper starts a process that does not end by itself.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("/bin/sleep", "600")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

// TestAwaitExit: the end is seen before the process has been reaped, and a stopped wait calls nothing.
func TestAwaitExit(t *testing.T) {
	c, other := sleeper(t), sleeper(t)
	ended, wrong := make(chan struct{}), make(chan struct{}, 1)
	if _, err := AwaitExit(c.Process.Pid, func() { close(ended) }); err != nil {
		t.Fatal(err)
	}
	stopped, err := AwaitExit(other.Process.Pid, func() { wrong <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	stopped.Stop()
	_ = other.Process.Kill()
	_ = c.Process.Kill()
	select {
	case <-ended:
	case <-time.After(long):
		t.Fatal("the end is not seen")
	}
	_ = other.Wait()
	select {
	case <-wrong:
		t.Error("a wait that was stopped has ended")
	default:
	}
	stopped.Stop() // again
	if _, err := AwaitExit(other.Process.Pid, func() {}); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("of a process that is gone: %v", err)
	}
}

// TestFollow: the beginning of a program is seen, where the kernel has process events.
func TestFollow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ready, seen, failed := make(chan struct{}), make(chan int, 1000), make(chan error, 1)
	go func() {
		failed <- Follow(ctx, func() { close(ready) }, func(pid int) {
			select {
			case seen <- pid:
			default:
			}
		})
	}()
	defer cancel()
	select {
	case <-ready:
	case err := <-failed:
		if !errors.Is(err, ErrNoEvents) {
			t.Fatal(err)
		}
		if os.Getenv("LVS_LAB_INSIDE") == "guest" {
			t.Skip("user-mode-linux has no process events; `make test` runs this test on the machine's kernel, if that has them")
		}
		require.Skip(t, require.ProcessEvents, "%v", err)
	case <-time.After(long):
		t.Fatal("neither events nor an error")
	}
	c := sleeper(t)
	for limit := time.After(long); ; {
		select {
		case pid := <-seen:
			if pid != c.Process.Pid {
				continue
			}
		case <-limit:
			t.Fatal("the beginning is not seen")
		}
		break
	}
	cancel()
	if err := <-failed; err != nil {
		t.Error(err)
	}
	var table Table
	table.Set([]Query{{Name: "sleep", Owner: strconv.Itoa(os.Getuid())}})
	if found, err := table.Find(); err != nil || !slices.Contains(found[0], c.Process.Pid) {
		t.Errorf("%v, %v", found, err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add(make([]byte, eventAt))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, ok := parse(b); ok != (len(b) >= eventAt) {
			t.Errorf("%d bytes: %t", len(b), ok)
		}
	})
}
