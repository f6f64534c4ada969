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

// maxSecret is the size of the longest secret, a certificate with its key, in bytes. MySQL stops at 79 for passwords.
const maxSecret = 64 << 10

// maxPublic is the size of the longest file with certificates of authorities, in bytes.
const maxPublic = 1 << 20

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
	return s.read(file, maxSecret, func(info fs.FileInfo) error { return permitted(file, info) })
}

// ReadPublic returns the content of a file that is no secret. Others may read it, but not write to it.
func (s *SecretFiles) ReadPublic(file string) (string, error) {
	return s.read(file, maxPublic, func(info fs.FileInfo) error {
		switch mode := info.Mode(); {
		case !mode.IsRegular():
			return fmt.Errorf("%s is not a regular file", file)
		case mode.Perm()&0o022 != 0:
			return fmt.Errorf("%s has mode %04o, so others can change it (chmod go-w)", file, mode.Perm())
		}
		return nil
	})
}

func (s *SecretFiles) read(file string, most int64, permitted func(fs.FileInfo) error) (string, error) {
	if file == "" {
		return "", nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("secret: %w (create the file with mode 0600, or correct its name)", err)
	}
	if err := permitted(info); err != nil {
		return "", err
	}
	now := stampOf(info)
	s.mu.Lock()
	known, ok := s.known[file]
	s.mu.Unlock()
	if ok && known.stamp == now {
		return known.value, nil
	}
	value, err := readSecret(file, most)
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

func readSecret(file string, most int64) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("secret: %w (let the daemon read it)", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	if int64(len(content)) > most {
		return "", fmt.Errorf("secret: %s is longer than %d bytes (put only what is needed into it)", file, most)
	}
	value := strings.TrimSuffix(string(content), "\n")
	return strings.TrimSuffix(value, "\r"), nil
}
