package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestADiskThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, thaw, asked := newDisk(), make(chan struct{}), atomic.Int32{}
		question := func() (int, error) {
			asked.Add(1)
			<-thaw
			return 42, nil
		}
		for range 3 { // the second and third do not start
			begun := time.Now()
			if _, err := ask(d, time.Second, question); !errors.Is(err, errNoAnswer) {
				t.Error(err)
			}
			if took := time.Since(begun); took != time.Second {
				t.Errorf("it took %s", took)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d operations hang, want one", n)
		}
		close(thaw)
		if got, err := ask(d, time.Second, question); got != 42 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}

// After a stall longer than the limit, a process still gets the result of the disk operation.
func TestStallIsNotAttributedToTheDisk(t *testing.T) {
	const within, asks = time.Second, "LVS_TEST_ASKS"
	if os.Getenv(asks) != "" {
		fmt.Println(ask(newDisk(), within, func() (int, error) {
			runtime.LockOSThread() // SIGSTOP to the own thread takes effect before the sleep
			if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
				return 0, err
			}
			time.Sleep(within / 5)
			return 42, nil
		}))
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), asks+"=1")
	var out bytes.Buffer
	child.Stdout = &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
	defer overdue.Stop()
	var state unix.WaitStatus
	if _, err := unix.Wait4(child.Process.Pid, &state, unix.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Fatalf("the child has not stopped: %v, %v", state, err)
	}
	time.Sleep(2 * within)
	if err := child.Process.Signal(unix.SIGCONT); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(out.String(), "42 <nil>\n") {
		t.Errorf("after a stall: %s", out.String())
	}
}
