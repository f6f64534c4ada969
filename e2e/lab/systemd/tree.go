package systemd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// target is the unit that the lab's systemd boots: only the journal is running.
const target = `[Unit]
Description=Everything that runs before the units under test
Requires=systemd-journald.service sysinit.target
After=systemd-journald.service sysinit.target
AllowIsolate=yes
`

const unitDir = "/usr/lib/systemd/system"

// runTree is process 1 of the new namespaces: it builds the file tree and then executes systemd.
func runTree(encoded []byte) error {
	var a arguments
	if err := json.Unmarshal(encoded, &a); err != nil {
		return err
	}
	if err := buildTree(a); err != nil {
		return fmt.Errorf("build the file tree: %w", err)
	}
	const systemd = "/lib/systemd/systemd"
	err := unix.Exec(systemd, []string{systemd, "--unit=lab.target", "--show-status=no"}, []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux", "LANG=C.UTF-8",
		"container=lvs-lab", "NOTIFY_SOCKET=" + a.Notify,
	})
	return fmt.Errorf("start %s: %w (package systemd)", systemd, err)
}

// buildTree mounts new file systems over the machine's directories. Files of the machine that must remain visible are
// opened first and then bind-mounted.
func buildTree(a arguments) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(a.Hostname)); err != nil {
		return err
	}
	visible := map[string]string{"/dev/console": a.Console}
	for _, node := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		visible["/dev/"+node] = "/dev/" + node
	}
	for target, source := range a.Programs {
		visible[target] = source
	}
	files, err := allFiles(a)
	if err != nil {
		return err
	}
	// Mounted first, because /proc/self is wrong in a new pid namespace until it has its own /proc.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	open := map[string]int{}
	for target, source := range visible {
		if open[target], err = unix.Open(source, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	if err := coverTree(); err != nil {
		return err
	}
	for target, fd := range open {
		if err := bindFile(fd, target); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	for _, f := range files {
		if err := f.write(); err != nil {
			return err
		}
	}
	if err := linkTree(); err != nil {
		return err
	}
	// As container managers do: systemd puts the credentials of a unit into place in a mount namespace of its own.
	return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "")
}

func coverTree() error {
	// The one that newCgroup mounted shows all cgroups of the machine, and the kernel refuses to mount the same file
	// system twice on one mount point (fs/namespace.c).
	if err := unix.Unmount(cgroupMount, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", cgroupMount, err)
	}
	for _, m := range []struct{ path, kind, data string }{
		{"/etc", "tmpfs", "mode=755"},
		{"/run", "tmpfs", "mode=755"},
		{"/tmp", "tmpfs", "mode=1777"},
		{"/var", "tmpfs", "mode=755"},
		{"/usr/local", "tmpfs", "mode=755"},
		{unitDir, "tmpfs", "mode=755"},
		{"/usr/lib/systemd/system-generators", "tmpfs", "mode=755"}, // they read the machine's fstab, and take a second
		{"/dev", "tmpfs", "mode=755"},
		{"/dev/pts", "devpts", "newinstance,mode=620,ptmxmode=666"},
		{"/dev/shm", "tmpfs", "mode=1777"},
		{cgroupMount, "cgroup2", ""},
	} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.path, m.kind, unix.MS_NOSUID, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	return nil
}

// bindFile bind-mounts an open file on the target, read-only unless it is a device.
func bindFile(fd int, target string) error {
	if err := (File{Path: target}).write(); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if strings.HasPrefix(target, "/dev/") {
		return nil
	}
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// allFiles returns the machine's units, a minimal /etc, and the files of Options.
func allFiles(a arguments) ([]File, error) {
	files := []File{
		{Path: "/etc/hostname", Content: a.Hostname + "\n"},
		{Path: "/etc/machine-id", Content: strings.Repeat("1", 32) + "\n"},
		{Path: "/etc/passwd", Content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
		{Path: "/etc/group", Content: "root:x:0:\nadm:x:4:\ntty:x:5:\nsystemd-journal:x:101:\nnogroup:x:65534:\n"},
		{Path: "/etc/systemd/system/lab.target", Content: target},
		{Path: "/var/tmp/.keep"},
	}
	patterns := []string{
		unitDir + "/*.target", unitDir + "/systemd-journald*.service", unitDir + "/systemd-journald*.socket",
		unitDir + "/systemd-modules-load.service",
		"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/os-release",
	}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a dangling link
			}
			if err != nil {
				return nil, err
			}
			files = append(files, File{Path: path, Content: string(content)})
		}
	}
	return append(files, a.Files...), nil
}

func linkTree() error {
	wants := filepath.Join(unitDir, "sysinit.target.wants")
	for _, dir := range []string{wants, "/var/lib", "/var/log", "/var/cache"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for link, to := range map[string]string{
		"/dev/ptmx":   "pts/ptmx",
		"/dev/fd":     "/proc/self/fd",
		"/dev/stdin":  "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
		"/var/run":    "/run",
		"/var/lock":   "/run/lock",
		filepath.Join(wants, "systemd-modules-load.service"): "../systemd-modules-load.service",
	} {
		if err := os.Symlink(to, link); err != nil {
			return err
		}
	}
	return os.Mkdir("/run/lock", 0o755)
}
