package checker

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxSecret is the longest secret in bytes; MySQL itself stops at 32 for replication and at 79 for some plugins.
const maxSecret = 4096

// SecretFiles reads secrets from files and caches them until the file changes. The zero value is ready; it is safe for
// use by several goroutines.
type SecretFiles struct {
	mu    sync.Mutex // guards known
	known map[string]secret
}

type secret struct {
	value string
	stamp stamp
}

// stamp identifies a version of a file's content; it also changes if an editor or a tool replaces the file.
type stamp struct {
	modified time.Time
	size     int64
	inode    uint64
}

// Read returns the content of file without the line break at its end. The file name "" gives the empty secret.
//
// The file must be a regular one with mode 0600, 0640 or less: a password that others can read is refused. Errors end
// with the remedy.
func (s *SecretFiles) Read(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("secret: %w (create the file with mode 0600, or correct its name)", err)
	}
	if err := permitted(file, info); err != nil {
		return "", err
	}
	now := stampOf(info)
	s.mu.Lock()
	known, ok := s.known[file]
	s.mu.Unlock()
	if ok && known.stamp == now {
		return known.value, nil
	}
	value, err := readSecret(file)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]secret{}
	}
	s.known[file] = secret{value, now}
	return value, nil
}

func stampOf(info fs.FileInfo) stamp {
	now := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		now.inode = sys.Ino
	}
	return now
}

func permitted(file string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("secret: %s is not a regular file (put the secret into one with mode 0600)", file)
	}
	if mode := info.Mode().Perm(); mode&^0o640 != 0 {
		return fmt.Errorf("secret: %s has mode %04o, so others can read or change it (chmod 0640 or 0600)", file, mode)
	}
	return nil
}

func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("secret: %w (let the daemon read it)", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	if len(content) > maxSecret {
		return "", fmt.Errorf("secret: %s is longer than %d bytes (put only the secret into it)", file, maxSecret)
	}
	value := strings.TrimSuffix(string(content), "\n")
	return strings.TrimSuffix(value, "\r"), nil
}
