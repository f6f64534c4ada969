package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount tag of the host's root directory, and the mount options of all shares. 512 000 bytes is the largest message
// size that virtio supports.
const (
	tagMachine   = "machine"
	shareOptions = "trans=virtio,version=9p2000.L,msize=512000,access=any"
)

// writableTag is the mount tag of the i-th directory of writable(spec).
func writableTag(i int) string { return fmt.Sprintf("writable%d", i) }

// loadBootModules loads the modules in the initramfs, if any, and mounts /dev.
func loadBootModules() error {
	modules, err := filepath.Glob(filepath.Join(initramfsModules, "*.ko*"))
	if err != nil || len(modules) == 0 {
		return err
	}
	for _, path := range modules {
		if err := loadModule(path); err != nil {
			return err
		}
	}
	return mount{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=755"}.do()
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// makeStockRoot builds the root from what the guest has in memory: a tmpfs over the resident files over the packages.
// Directories that do not belong to packages (/home, /work, …) are those of the host.
func makeStockRoot(root string, s spec) error {
	image, machine := filepath.Join(scratch, "image"), filepath.Join(scratch, "machine")
	for _, m := range []mount{
		{"/dev/pmem0", image, "ext4", unix.MS_RDONLY, "dax"},
		{tagMachine, machine, "9p", unix.MS_RDONLY, shareOptions + ",cache=loose"},
	} {
		if err := os.Mkdir(m.target, 0o755); err != nil {
			return err
		}
		if err := m.do(); err != nil {
			return err
		}
	}
	if err := overlay("root", root, initramfsResident, image); err != nil {
		return err
	}
	top, err := os.ReadDir(machine)
	if err != nil {
		return err
	}
	for i, d := range top {
		if !d.IsDir() || packaged(d.Name()) {
			continue
		}
		lower := []string{filepath.Join(machine, d.Name())}
		if _, err := os.ReadDir(lower[0]); errors.Is(err, fs.ErrPermission) {
			continue // /root, where an ordinary user boots the guest
		}
		if resident := filepath.Join(initramfsResident, d.Name()); isDirectory(resident) {
			lower = append([]string{resident}, lower...)
		}
		if err := overlay(fmt.Sprintf("machine%d", i), filepath.Join(root, d.Name()), lower...); err != nil {
			return err
		}
	}
	return lookUp(root, s.Resident)
}

// packaged reports whether a top-level directory belongs to the packages or the kernel.
func packaged(name string) bool {
	switch name {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "var", "boot", "proc", "sys", "dev", "run", "lost+found":
		return true
	}
	return false
}

// lookUp fills the kernel's dentry cache with the directories of the files, because looking them up waits for the host.
func lookUp(root string, files []string) error {
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			return err
		}
	}
	return nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// moveTo is pivotTo for a kernel whose root is an initramfs, which cannot be unmounted (pivot_root(2)). Kernel threads
// share the working directory and the root of the first process.
func moveTo(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	return unix.Chdir("/")
}
