package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// scratch is the mount point for the copy-on-write layers until the new root is in place. It exists on every machine
// and is not needed before then.
const scratch = "/tmp"

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) do() error {
	if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

// buildRoot builds a root whose writes go to memory, and makes it the root of the first process.
func buildRoot(s spec) error {
	makeRoot, enter := makeUMLRoot, pivotTo
	if s.Stock {
		makeRoot, enter = makeStockRoot, moveTo
	} else if err := loadOverlay(s.Tree); err != nil { // now, because the tree may be below scratch
		return err
	}
	if err := (mount{"lab", scratch, "tmpfs", 0, "mode=755"}).do(); err != nil {
		return err
	}
	root := filepath.Join(scratch, "root")
	if err := makeRoot(root, s); err != nil {
		return err
	}
	if err := mountSystem(root); err != nil {
		return err
	}
	if err := mountWritable(root, s); err != nil {
		return err
	}
	if err := enter(root); err != nil {
		return err
	}
	return writeHosts()
}

// overlay mounts read-only directories, the uppermost first, under a writable layer in memory. The name must be unique.
func overlay(name, target string, lower ...string) error {
	up, work := filepath.Join(scratch, "up", name), filepath.Join(scratch, "work", name)
	for _, d := range []string{target, up, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lower, ":"), up, work)
	return mount{"lab", target, "overlay", 0, data}.do()
}

// makeUMLRoot builds the root from a tmpfs over the packages over the machine's root.
func makeUMLRoot(root string, s spec) error {
	// The tree is inside the machine's root. A separate mount makes it a separate layer: overlapping layers are refused
	// with ELOOP (fs/overlayfs/super.c).
	tree := filepath.Join(scratch, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := (mount{"none", tree, "hostfs", unix.MS_RDONLY, s.Tree}).do(); err != nil {
		return err
	}
	return overlay("root", root, tree, "/")
}

// loadOverlay loads the module that is needed to mount the root from which modprobe loads the others.
func loadOverlay(tree string) error {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	path := filepath.Join(tree, "usr/lib/uml/modules", unix.ByteSliceToString(uts.Release[:]), "kernel/fs/overlayfs/overlay.ko")
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

func mountSystem(root string) error {
	const nosuid = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []mount{
		{"proc", "/proc", "proc", nosuid | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", nosuid | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=755"},
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "tmpfs", nosuid, "mode=1777"},
		{"tmpfs", "/run", "tmpfs", nosuid, "mode=755"},
	} {
		m.target = filepath.Join(root, m.target)
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := m.do(); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{guestHome, 0o700}, {guestTemp, 0o777 | os.ModeSticky}, {"/run/lock", 0o777 | os.ModeSticky}} {
		path := filepath.Join(root, d.path)
		if err := os.Mkdir(path, d.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// mountWritable mounts the host directories that the guest may write to.
func mountWritable(root string, s spec) error {
	for i, w := range writable(s) {
		w.fstype, w.data, w.source = "hostfs", w.source, "none"
		if s.Stock {
			w.fstype, w.data, w.source = "9p", shareOptions+",cache=mmap", writableTag(i)
		}
		w.target = filepath.Join(root, w.target)
		if err := os.MkdirAll(w.target, 0o755); err != nil {
			return err
		}
		if err := w.do(); err != nil {
			return err
		}
	}
	return nil
}

// writable returns the mounts of writable host directories, outer ones before those inside them.
func writable(s spec) []mount {
	var m []mount
	for _, d := range s.Writable {
		m = append(m, mount{source: d, target: d})
	}
	if s.Out != "" {
		m = append(m, mount{source: s.Out, target: OutDir})
	}
	slices.SortFunc(m, func(a, b mount) int { return strings.Compare(a.target, b.target) })
	return slices.CompactFunc(m, func(a, b mount) bool { return a.target == b.target })
}

// releaseWritable writes the guest's changes to the host before power-off.
func releaseWritable(s spec) error {
	unix.Sync()
	for _, w := range slices.Backward(writable(s)) {
		if err := unix.Unmount(w.target, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", w.target, err)
		}
	}
	return nil
}

// pivotTo makes root the root of every process, including kernel threads, which start modprobe.
func pivotTo(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	// With both arguments the same, pivot_root(2) stacks the old root on the new one, so that it can be unmounted
	// without a mount point of its own.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return unix.Chdir("/")
}

// writeHosts writes an /etc/hosts with the guest's own name.
func writeHosts() error {
	const hosts = "127.0.0.1 localhost lab\n::1 localhost ip6-localhost\n"
	if err := os.Remove("/etc/hosts"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile("/etc/hosts", []byte(hosts), 0o644)
}
