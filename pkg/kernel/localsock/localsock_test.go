package localsock

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
)

// connectAs makes TestMain connect to the socket of that name, wait until the other end has closed it, and end: as another user.
const connectAs = "LOCALSOCK_CONNECT"

func TestMain(m *testing.M) {
	path := os.Getenv(connectAs)
	if path == "" {
		os.Exit(m.Run())
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, conn)
}

func TestOf(t *testing.T) {
	l := listen(t)
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := accept(t, l)
	if int(p.UID) != os.Getuid() || !p.In(uint32(os.Getgid())) || p.In(4000000000) {
		t.Errorf("%+v", p)
	}
}

// TestOtherUser: the groups are those of the other process, also if there are many, and a second group may open the socket.
func TestOtherUser(t *testing.T) {
	require.Root(t) // only root can be another user
	many := make([]uint32, 100)
	for n := range many {
		many[n] = uint32(7000 + n)
	}
	for _, groups := range [][]uint32{{4711}, append(many, 4711), {4712}} {
		l := listen(t)
		if err := Admit(l.Addr().String(), 4711); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("this file system has no access control lists") // as that of a guest may; TestRoles in e2e has one that does
		} else if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(filepath.Dir(l.Addr().String()), "program") // the directory of the test binary may be closed to others
		if data, err := os.ReadFile(self); err != nil || os.WriteFile(program, data, 0o755) != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program)
		cmd.Env = []string{connectAs + "=" + l.Addr().String()}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4000, Gid: 4001, Groups: groups}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(groups, 4712) {
			if err := cmd.Wait(); err == nil {
				t.Error("another group may open the socket")
			}
			continue
		}
		p := accept(t, l)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if want := append(slices.Clone(groups), 4001); p.UID != 4000 || !slices.Equal(slices.Sorted(slices.Values(p.Groups)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%+v, want %v", p, want)
		}
	}
}

func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	dir, err := os.MkdirTemp("", "localsock") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil || os.Chmod(dir, 0o755) != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func accept(t *testing.T, l *net.UnixListener) Peer {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := Of(conn)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
