package guest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cache is a directory that keeps unpacked packages between runs.
type Cache struct{ Dir string }

// DefaultCache returns the cache in $LVS_LAB_CACHE, or if that is unset, in lvs-director/lab in the user's cache
// directory (XDG_CACHE_HOME, ~/.cache).
func DefaultCache() (Cache, error) {
	if dir := os.Getenv("LVS_LAB_CACHE"); dir != "" {
		abs, err := filepath.Abs(dir)
		return Cache{Dir: abs}, err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}, fmt.Errorf("guest: cache directory: %w: set LVS_LAB_CACHE to a writable directory", err)
	}
	return Cache{Dir: filepath.Join(dir, "lvs-director", "lab")}, nil
}

// Fill returns the tree of packages. If the cache has none for this release, Fill fetches and unpacks it first, which
// takes 10-60 s, 65 MB over the network and 300 MB on disk, and reports that on progress. Otherwise it takes
// milliseconds. Concurrent calls, also in other processes, wait for each other.
func (c Cache) Fill(ctx context.Context, progress io.Writer) (Tree, error) {
	home, err := c.home()
	if err != nil {
		return Tree{}, fmt.Errorf("guest: %w", err)
	}
	t, err := c.fillTree(ctx, home, progress)
	if err != nil {
		return Tree{}, err
	}
	library, err := t.library(ctx)
	if err != nil {
		return Tree{}, fmt.Errorf("guest: compile the library to preload: %w: check that the cache is complete and %s writable, or set LVS_LAB_CACHE to a writable directory", err, home)
	}
	t.Preload = []string{library}
	return t, nil
}

func (c Cache) fillTree(ctx context.Context, home string, progress io.Writer) (Tree, error) {
	return treeIn(home), c.once(ctx, home, treeIn(home).complete, fillUML, progress)
}

// once creates home with fill unless it is complete. fill gets an empty directory for apt, and another one that becomes
// home if fill returns no error.
func (c Cache) once(ctx context.Context, home string, complete func() bool, fill func(ctx context.Context, aptDir, home string, progress io.Writer) error, progress io.Writer) error {
	if complete() {
		return nil
	}
	for _, program := range []string{"apt-get", "dpkg-deb", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("guest: packages: %w: run in a Debian or Ubuntu container", err)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("guest: cache: %w: set LVS_LAB_CACHE to a writable directory", err)
	}
	unlock, err := lockDir(ctx, c.Dir, progress)
	if err != nil {
		return fmt.Errorf("guest: cache: %w", err)
	}
	defer unlock()
	if complete() {
		return nil // another process has filled it meanwhile
	}
	start := time.Now()
	err = inPlace(home, func(aptDir, work string) error { return fill(ctx, aptDir, work, progress) })
	if err != nil {
		return fmt.Errorf("guest: fetch packages into %s: %w: check the network and /etc/apt/sources.list*, then try again", c.Dir, err)
	}
	fmt.Fprintf(progress, "lab: packages are in %s (%.0f s)\n", home, time.Since(start).Seconds())
	return nil
}

// home returns the directory for the packages of this machine's release, which may not exist yet.
func (c Cache) home() (string, error) {
	r, err := machineRelease()
	if err != nil {
		return "", err
	}
	return filepath.Join(c.Dir, key(r)), nil
}

func machineRelease() (release, error) {
	raw, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return release{}, fmt.Errorf("identify the distribution: %w: run in a Debian or Ubuntu container", err)
	}
	return parseRelease(string(raw))
}

func treeIn(home string) Tree { return Tree{Dir: filepath.Join(home, "tree")} }

// complete reports whether the tree is complete. It is created under another name and renamed.
func (t Tree) complete() bool {
	info, err := os.Stat(t.Kernel())
	return err == nil && info.Mode().IsRegular()
}

// key returns a directory name for everything that a tree depends on.
func key(r release) string {
	sum := sha256.Sum256([]byte(layout + "\n" + strings.Join(Packages(), "\n")))
	return fmt.Sprintf("%s-%s-%s-%x", r.ID, r.Version, runtime.GOARCH, sum[:4])
}

// inPlace creates home atomically: with all its content or not at all. The caller must have the lock.
func inPlace(home string, fill func(aptDir, home string) error) (err error) {
	if err := removeLeftovers(filepath.Dir(home)); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(home), fillPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	aptDir := filepath.Join(work, "apt")
	done := filepath.Join(work, "done")
	for _, d := range []string{aptDir, done} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := fill(aptDir, done); err != nil {
		return err
	}
	return os.Rename(done, home)
}

func fillUML(ctx context.Context, aptDir, home string, progress io.Writer) error {
	a, err := newApt(aptDir, progress)
	if err != nil {
		return err
	}
	installed, err := machineBase()
	if err != nil {
		return err
	}
	debs, err := a.fetch(ctx, Packages(), installed)
	if err != nil {
		return err
	}
	fmt.Fprintln(progress, "lab: unpacking")
	t := treeIn(home)
	if err := t.unpack(ctx, debs); err != nil {
		return err
	}
	if err := t.linkModules(); err != nil {
		return err
	}
	if err := t.linkIptables(); err != nil {
		return err
	}
	fmt.Fprintln(progress, "lab: creating an empty MariaDB data directory")
	return t.installMariaDB(ctx)
}

const fillPrefix = "filling-"

// removeLeftovers removes the incomplete directories of killed runs.
func removeLeftovers(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, fillPrefix+"*"))
	if err != nil {
		return err
	}
	for _, d := range left {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	return nil
}

// lockDir takes the cache's file lock, and gives up when the context is done.
func lockDir(ctx context.Context, dir string, progress io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for reported := false; ; reported = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		if !reported {
			fmt.Fprintln(progress, "lab: another process is filling the cache; waiting")
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}
