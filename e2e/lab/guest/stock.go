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
)

// Stock is the second kernel: Debian's kernel for PCs, unpacked, with qemu and a file system for the guest.
type Stock struct{ Dir string }

func (s Stock) kernel() string  { return filepath.Join(s.Dir, "vmlinux") }
func (s Stock) image() string   { return filepath.Join(s.Dir, "root.ext4") }
func (s Stock) modules() string { return filepath.Join(s.Dir, "modules") } // directory of the modules that are loaded at boot
func (s Stock) emulator() Tree  { return Tree{Dir: filepath.Join(s.Dir, "qemu")} }

// complete reports whether the directory is complete. It is created under another name and renamed.
func (s Stock) complete() bool {
	info, err := os.Stat(s.image())
	return err == nil && info.Mode().IsRegular()
}

// StockPackages returns the names of the packages of the guest's file system, without their dependencies.
func StockPackages() []string {
	return append([]string{
		"linux-image-amd64", // the cloud variant has no 9p
		"bash", "coreutils", "dash", "diffutils", "findutils", "gawk", "grep", "gzip", "hostname", "sed", "tar", "util-linux",
		"nftables",
	}, common()...)
}

// emulatorPackages returns the packages whose programs run on the machine itself: the emulator, and the tools of
// FillStock.
func emulatorPackages() []string {
	return []string{"qemu-system-x86", "e2fsprogs", "kmod", "xz-utils", "zstd"}
}

// stockLayout is the version of how Stock.Dir is built from the packages; after a change every cache is fetched again.
const stockLayout = "5"

// FillStock returns the second kernel, fetching it first if necessary, as Fill does for the first kernel's tree. Both
// are in the same cache.
func (c Cache) FillStock(ctx context.Context, progress io.Writer) (Stock, error) {
	if runtime.GOARCH != "amd64" {
		return Stock{}, fmt.Errorf("guest: the stock kernel is fetched for amd64 only, and this is %s: use user-mode-linux (labrun -kernel uml)", runtime.GOARCH)
	}
	home, err := c.stockHome()
	if err != nil {
		return Stock{}, fmt.Errorf("guest: %w", err)
	}
	s := Stock{Dir: home}
	return s, c.once(ctx, home, s.complete, fillStock, progress)
}

func (c Cache) stockHome() (string, error) {
	r, err := machineRelease()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(stockLayout + "\n" + strings.Join(append(StockPackages(), emulatorPackages()...), "\n")))
	return filepath.Join(c.Dir, fmt.Sprintf("%s-%s-%s-stock-%x", r.ID, r.Version, runtime.GOARCH, sum[:4])), nil
}

func fillStock(ctx context.Context, aptDir, home string, progress io.Writer) error {
	s := Stock{Dir: home}
	a, err := newApt(aptDir, progress)
	if err != nil {
		return err
	}
	installed, err := machineBase()
	if err != nil {
		return err
	}
	emulator, err := a.fetch(ctx, emulatorPackages(), installed)
	if err != nil {
		return err
	}
	// Nothing is assumed to be installed: the guest has its own C library and shell, in its own memory.
	packages, err := a.fetch(ctx, StockPackages(), "")
	if err != nil {
		return err
	}
	fmt.Fprintln(progress, "lab: unpacking")
	root := Tree{Dir: filepath.Join(aptDir, "root")}
	if err := errors.Join(s.emulator().unpack(ctx, emulator), root.unpack(ctx, packages)); err != nil {
		return err
	}
	fmt.Fprintln(progress, "lab: creating an empty MariaDB data directory and a file system for the stock kernel")
	if err := errors.Join(root.linkIptables(), root.addBase(), root.installMariaDB(ctx)); err != nil {
		return err
	}
	if err := s.takeKernel(ctx, root); err != nil {
		return err
	}
	return s.makeImage(ctx, root)
}

// addBase creates what package scripts and the distribution's installer would create: users, name resolution, and the
// awk alternative.
func (t Tree) addBase() error {
	for name, content := range map[string]string{
		"etc/passwd":        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":         "root:x:0:\ntty:x:5:\nadm:x:4:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		"etc/resolv.conf":   "",
		"etc/hostname":      "lab\n",
		"etc/machine-id":    "00000000000000000000000000000001\n",
	} {
		if err := os.WriteFile(filepath.Join(t.Dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return os.Symlink("gawk", filepath.Join(t.Dir, "usr/bin/awk"))
}

// takeKernel extracts the kernel and its boot modules from an unpacked package.
func (s Stock) takeKernel(ctx context.Context, root Tree) error {
	images, err := filepath.Glob(filepath.Join(root.Dir, "boot/vmlinuz-*"))
	if err != nil {
		return err
	}
	if len(images) != 1 {
		return fmt.Errorf("%d kernels in the package, want 1", len(images))
	}
	if err := unsignModules(root.Dir); err != nil {
		return err
	}
	version := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	// kmod acts as depmod if its argv[0] is depmod. The package's depmod link is absolute and would not work here.
	depmod, err := s.emulator().command(ctx, "kmod", "-b", root.Dir, version)
	if err != nil {
		return err
	}
	depmod.Args[0] = "depmod"
	if out, err := depmod.CombinedOutput(); err != nil {
		return fmt.Errorf("depmod: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := s.takeModules(filepath.Join(root.Dir, "usr/lib/modules", version)); err != nil {
		return err
	}
	packed, err := os.ReadFile(images[0])
	if err != nil {
		return err
	}
	return s.unpackKernel(ctx, packed)
}

// makeImage creates a file system image from a tree. Its size must be a multiple of 2 MiB to be mapped into the guest's
// memory.
func (s Stock) makeImage(ctx context.Context, root Tree) error {
	var size int64
	err := filepath.WalkDir(root.Dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += (info.Size()/4096 + 2) * 4096
		}
		return err
	})
	if err != nil {
		return err
	}
	mebibytes := (size + size/10) >> 20 &^ 1
	return s.tool(ctx, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal,^metadata_csum,^resize_inode",
		"-d", root.Dir, s.image(), fmt.Sprintf("%dM", mebibytes+16))
}

// tool runs a program on the machine, from the emulator's tree if that has it.
func (s Stock) tool(ctx context.Context, program string, args ...string) error {
	cmd, err := s.emulator().command(ctx, program, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// command returns a command for a program of the tree, or of the machine if the tree does not have it.
func (t Tree) command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	env, err := t.hostEnv()
	if err != nil {
		return nil, err
	}
	path, err := lookPath(program, "/", env)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = env
	return cmd, nil
}

// hostEnv returns the environment in which the tree's programs run on the machine.
func (t Tree) hostEnv() ([]string, error) {
	usr := filepath.Join(t.Dir, "usr")
	libs, err := filepath.Glob(filepath.Join(usr, "lib/*-linux-gnu*"))
	return []string{
		"LC_ALL=C",
		"LD_LIBRARY_PATH=" + strings.Join(libs, ":"),
		"PATH=" + filepath.Join(usr, "bin") + ":" + filepath.Join(usr, "sbin") + ":" + guestPath,
	}, err
}
