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

// pidName is the file with the process id of the holder. The lock is on the directory; the file only tells people.
const pidName = "pid"

// ErrLocked is returned by Open when another process holds the state directory.
var ErrLocked = errors.New("stop it or use another --state-dir")

// lock takes hold of a directory until the descriptor is closed, which the end of the process does too.
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
	_ = os.WriteFile(filepath.Join(dir, pidName), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o640) // only told to people
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

// holder is " (pid N)", or nothing where the holder has not said it yet.
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
