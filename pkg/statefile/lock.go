package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidName is the file with the process id of the lock's holder. The lock is on the directory; the file is only
// informative.
const pidName = "pid"

// ErrLocked is returned by Open when another process holds the state directory.
var ErrLocked = errors.New("stop it or use another --state-dir")

// lock locks a directory until the descriptor is closed, at the latest by the end of the process.
func lock(dir string) (*os.File, error) {
	handle, err := os.Open(dir)
	if err != nil {
		return nil, unusable(dir, err)
	}
	if err := flock(handle); err != nil {
		defer handle.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another lvs-director holds %s%s: %w", dir, holder(dir), ErrLocked)
		}
		return nil, unusable(dir, err)
	}
	_ = os.WriteFile(filepath.Join(dir, pidName), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o640) // only informative
	return handle, nil
}

func flock(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return err
	}
	return failed
}

// holder returns " (pid N)", or "" if the holder has not written its pid yet.
func holder(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
