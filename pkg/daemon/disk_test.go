package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestADiskThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, thaw, asked := newDisk(), make(chan struct{}), atomic.Int32{}
		question := func() (int, error) {
			asked.Add(1)
			<-thaw
			return 42, nil
		}
		for range 3 { // the second and third are not even asked
			begun := time.Now()
			if _, err := ask(d, time.Second, question); !errors.Is(err, errNoAnswer) {
				t.Error(err)
			}
			if took := time.Since(begun); took != time.Second {
				t.Errorf("it took %s", took)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d questions hang, want one", n)
		}
		close(thaw)
		if got, err := ask(d, time.Second, question); got != 42 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}

// A process that stood still for longer than it would have waited still hears what the disk says when it goes on.
func TestAStandstillIsNotTheDisks(t *testing.T) {
	const within, asks = time.Second, "LVS_TEST_ASKS"
	if os.Getenv(asks) != "" {
		fmt.Println(ask(newDisk(), within, func() (int, error) {
			fmt.Println("asked")
			_, err := io.ReadAll(os.Stdin)
			return 42, err
		}))
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), asks+"=1")
	answer, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	signal := func(s syscall.Signal) {
		if err := child.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
	overdue := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
	defer overdue.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "asked" {
	}
	signal(syscall.SIGSTOP)
	time.Sleep(2 * within)
	signal(syscall.SIGCONT)
	_ = answer.Close()
	lines.Scan()
	if got := lines.Text(); got != "42 <nil>" {
		t.Errorf("after a standstill: %s", got)
	}
	for lines.Scan() {
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}
