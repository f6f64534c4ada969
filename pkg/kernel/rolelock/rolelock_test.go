package rolelock

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// squat makes the test binary hold a name until its standard input ends.
const squat = "ROLELOCK_TEST_SQUAT"

func TestMain(m *testing.M) {
	if name := os.Getenv(squat); name != "" {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go refuse(l)
		fmt.Println("listening")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// acquire takes a lock in a network namespace.
func acquire(h netnstest.Host, role string) (l *Lock, err error) {
	_ = h.Enter(func() error {
		l, err = Acquire(role)
		return nil
	})
	return l, err
}

func TestLock(t *testing.T) {
	a, b := netnstest.New(t), netnstest.New(t)
	first, err := acquire(a, "director")
	if err != nil {
		t.Fatal(err)
	}
	_, err = acquire(a, "director")
	if want := fmt.Sprintf("director (pid %d) runs in this network namespace already", os.Getpid()); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), want) {
		t.Errorf("a second one: %v, want %q", err, want)
	}
	for _, other := range []struct {
		h    netnstest.Host
		role string
	}{{a, "realserver"}, {b, "director"}} {
		l, err := acquire(other.h, other.role)
		if err != nil {
			t.Errorf("another role, or another network namespace: %v", err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := acquire(a, "director")
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	_ = again.Close()
}

// Many who ask do not fill the queue of the socket.
func TestManyAsk(t *testing.T) {
	h := netnstest.New(t)
	first, err := acquire(h, "director")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for range 5000 {
		if _, err := acquire(h, "director"); !errors.Is(err, ErrHeld) {
			t.Fatal(err)
		}
	}
}

// A user who is not root and takes the name keeps no daemon from starting, and no second one passes by that way.
func TestNameTakenByAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	h := netnstest.New(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := t.TempDir() + "/squatter" // another user may not read the build's own directory
	if out, err := exec.Command("cp", exe, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for dir := program; dir != "/"; dir = dir[:max(1, strings.LastIndex(dir, "/"))] {
		if strings.Contains(dir, "TestName") {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command(program)
	cmd.Env = []string{squat + "=@director/role/0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	h.Do(t, cmd.Start)
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(out).ReadString('\n')
		line <- s
	}()
	select {
	case s := <-line:
		if s != "listening\n" {
			t.Fatalf("the other user: %q", s)
		}
	case <-time.After(time.Minute):
		t.Fatal("the other user does not listen")
	}
	l, err := acquire(h, "director")
	if err != nil {
		t.Fatalf("while another user holds the name: %v", err)
	}
	defer l.Close()
	if _, err := acquire(h, "director"); !errors.Is(err, ErrHeld) {
		t.Errorf("a second one: %v, want %v", err, ErrHeld)
	}
}
