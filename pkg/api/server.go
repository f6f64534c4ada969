package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/kernel/localsock"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// The system groups whose members may use the socket, in addition to root. They need not exist.
const (
	// Group may read everything and change nothing.
	Group = "lvs-director"
	// AdminGroup may also change what the daemon does.
	AdminGroup = "lvs-admin"
)

// Handlers are the functions that answer a daemon's requests.
type Handlers struct {
	Status func() any
	// Reload reads the cluster file again for author; its error text is sent to the operator unchanged. Without force it may
	// refuse a file that looks like a mistake.
	Reload func(ctx context.Context, force bool, author string) error
	// Table returns the IPVS table, with foreign only what is not the daemon's. Difference returns what a reload of a file
	// with that name and content would change; without a name, of the daemon's own file. nil: the daemon has no table.
	Table      func(ctx context.Context, foreign bool) (status.Table, error)
	Difference func(ctx context.Context, name string, data []byte) (status.Difference, error)
	// Zero sets the counters of a virtual server, or of all, to zero. nil: the daemon has no table.
	Zero func(ctx context.Context, name, author string) (status.Zeroed, error)
	// Explain returns why a real server, "SERVICE/SERVER", is in or out; Probe makes its checks once. nil: the daemon makes none.
	Explain func(ctx context.Context, server string) (status.Explanation, error)
	Probe   func(ctx context.Context, server string) ([]status.Probe, error)
	// Record returns the last events of a VRRP instance in the text form of vrrp.Trace; of all instances if the name is
	// "".
	Record func(instance string) (string, error)
	// FailOver hands an instance or sync group over to another director, or ends what that has left; it returns a sentence.
	// nil: the daemon has no elections.
	FailOver func(ctx context.Context, name string, release bool, author string) (string, error)
	// Override carries out what an operator, author, has decided about a real server or the director. nil: the daemon is no
	// director.
	Override func(ctx context.Context, r status.OverrideRequest, author string) (status.OverrideResult, error)
	// Live returns how many loops the daemon has, and the names of those that have made no progress for heartbeat.StalledAfter.
	Live func() (loops int, stalled []string)
	// Events is the journal of past and new events.
	Events *journal.Journal
}

// ErrInUse is returned by Listen if another process answers on the socket.
var ErrInUse = errors.New("another daemon answers on it: stop that one or use another --socket")

// Listen opens the Unix socket with mode 0660 for root, Group and AdminGroup. It replaces a stale socket file.
func Listen(path string, log *slog.Logger) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := vacate(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := admit(path, log); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return listener, nil
}

// vacate removes a stale socket at path. Only a socket that refuses connections is stale: one with a full backlog
// returns a different error.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return errors.New("the path exists and is not a socket: remove it or use another --socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // its daemon has just stopped
		return nil
	case errors.Is(err, fs.ErrPermission):
		return err
	default:
		return ErrInUse
	}
}

func admit(path string, log *slog.Logger) error {
	if gid, known := groupID(Group); known {
		// Without CAP_CHOWN the socket keeps the daemon's own group, which is safe.
		_ = os.Chown(path, -1, int(gid))
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return err
	}
	gid, known := groupID(AdminGroup)
	if !known {
		return nil
	}
	if err := localsock.Admit(path, gid); err != nil {
		log.Warn("only members of both groups can change something: the other group cannot open the socket", "groups", Group+" "+AdminGroup, "error", err)
	}
	return nil
}

// groupID returns the number of a system group.
func groupID(name string) (gid uint32, known bool) {
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(group.Gid, 10, 32)
	return uint32(n), err == nil
}
