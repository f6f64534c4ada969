package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// linksFollowed is how many symbolic links a path may have, as in the kernel.
const linksFollowed = 40

// trusted returns an error if others than root could replace a program that is run as root: it, each directory above it
// and each symbolic link on the way must belong to root, and only root, or the group root, may write to them.
func trusted(program string) error {
	if !filepath.IsAbs(program) {
		return fmt.Errorf("%s is not an absolute path: write the whole path", program)
	}
	at, rest := "/", parts(program)
	links := 0
	if err := ofRoot(at, program); err != nil {
		return err
	}
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		if err := ofRoot(next, program); err != nil {
			return err
		}
		target, err := os.Readlink(next)
		if err != nil { // no symbolic link
			at = next
			continue
		}
		if links++; links > linksFollowed {
			return fmt.Errorf("%s has too many symbolic links", program)
		}
		rest = append(parts(target), rest...)
		if filepath.IsAbs(target) {
			at = "/"
		}
	}
	return nil
}

// parts splits a path. It keeps "..", which must not be removed before a symbolic link is followed.
func parts(path string) []string {
	var all []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			all = append(all, part)
		}
	}
	return all
}

// ofRoot returns an error if others than root can change a file or replace what is in a directory.
func ofRoot(path, program string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist: install it, or correct the cluster file", path)
	case err != nil:
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("the owner of %s is not known", path)
	}
	remedy := "correct that, or set another user"
	switch writable := info.Mode().Perm(); {
	case stat.Uid != 0:
		return fmt.Errorf("%s is not run as root, because %s belongs to user %d, who could replace it: %s", program, path, stat.Uid, remedy)
	case info.Mode()&os.ModeSymlink != 0: // its mode has no meaning
		return nil
	case writable&0o002 != 0, writable&0o020 != 0 && stat.Gid != 0:
		return fmt.Errorf("%s is not run as root, because others may write to %s (%s), and could replace it: %s", program, path, info.Mode(), remedy)
	}
	return nil
}
