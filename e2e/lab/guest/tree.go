package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Tree is a directory of unpacked packages.
type Tree struct {
	Dir string
	// Preload are the libraries that are preloaded into the guest kernel (LD_PRELOAD), in that order. One is compiled
	// from the sources in preload: the guest's clock, and the FPU state of CPUs that are newer than the kernel.
	Preload []string
}

// Kernel returns the path of the guest kernel, a program that runs on this machine.
func (t Tree) Kernel() string { return filepath.Join(t.Dir, "usr/bin/linux.uml") }

// DataDir is a MariaDB data directory in the guest, with the system tables and a root account without a password. Copy
// the whole directory and start the server on the copy.
const DataDir = "/usr/share/lvs-lab/mariadb"

// unpack extracts the packages into the tree without running their scripts.
func (t Tree) unpack(ctx context.Context, debs []string) error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return err
	}
	if err := t.mirrorMergedUsr(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.NumCPU(), 8)) // each takes up to 70 MB: too much for 64 CPUs with 4 GB of memory
	for _, deb := range debs {
		g.Go(func() error { return t.extract(ctx, deb) })
	}
	return g.Wait()
}

// mirrorMergedUsr creates /bin, /lib, … as links if they are links on the machine. A directory would hide the machine's
// link in the overlay.
func (t Tree) mirrorMergedUsr() error {
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		target, err := os.Readlink("/" + name)
		if err != nil {
			continue
		}
		if err := os.MkdirAll(filepath.Join(t.Dir, target), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(strings.TrimPrefix(target, "/"), filepath.Join(t.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (t Tree) extract(ctx context.Context, deb string) error {
	read := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	args := []string{"--extract", "--keep-directory-symlink", "--no-same-owner", "--no-same-permissions", "--directory", t.Dir}
	for _, path := range excluded() {
		args = append(args, "--exclude=./"+path)
	}
	write := exec.CommandContext(ctx, "tar", args...)
	pipe, err := read.StdoutPipe()
	if err != nil {
		return err
	}
	write.Stdin = pipe
	var stderr strings.Builder
	write.Stderr = &stderr
	if err := read.Start(); err != nil {
		return err
	}
	// Wait for both and report both errors, because it is not known which of them failed first.
	writeErr := write.Run()
	if err := errors.Join(writeErr, read.Wait()); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(deb), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// linkModules links the guest kernel's modules to where modprobe looks for them.
func (t Tree) linkModules() error {
	versions, err := os.ReadDir(filepath.Join(t.Dir, "usr/lib/uml/modules"))
	if err != nil {
		return err
	}
	modules := filepath.Join(t.Dir, "usr/lib/modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		return err
	}
	for _, v := range versions {
		if err := os.Symlink("../uml/modules/"+v.Name(), filepath.Join(modules, v.Name())); err != nil {
			return err
		}
	}
	return nil
}

// linkIptables replaces the package's alternatives and chooses the legacy programs: the guest kernel has ip_tables but
// not nf_tables for IPv4 and IPv6 (CONFIG_NF_TABLES_IPV4).
func (t Tree) linkIptables() error {
	sbin := filepath.Join(t.Dir, "usr/sbin")
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		err := os.Symlink("xtables-legacy-multi", filepath.Join(sbin, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// installMariaDB creates the data directory with the tree's own programs, running on the host: this takes 1 s, and 10 s
// in a guest.
func (t Tree) installMariaDB(ctx context.Context) error {
	data := filepath.Join(t.Dir, DataDir)
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	usr := filepath.Join(t.Dir, "usr")
	args := []string{
		filepath.Join(usr, "bin/mariadb-install-db"), "--no-defaults", "--basedir=" + usr, "--datadir=" + data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
		// 10 MiB of log is enough for a lab, and is copied for each server. A container may not be allowed native
		// asynchronous I/O.
		"--innodb-log-file-size=10M", "--innodb-buffer-pool-size=16M", "--innodb-use-native-aio=0",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	cmd := exec.CommandContext(ctx, "sh", args...)
	libs, err := filepath.Glob(filepath.Join(usr, "lib/*-linux-gnu*"))
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(),
		"LC_ALL=C",
		"LD_LIBRARY_PATH="+strings.Join(libs, ":"),
		"PATH="+filepath.Join(usr, "bin")+":"+filepath.Join(usr, "sbin")+":"+guestPath)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// excluded returns the parts of packages that nothing in the lab reads, such as drivers for hardware that no guest has.
func excluded() []string {
	paths := []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "usr/lib/*/gconv", "lib/modules/*/kernel/sound"}
	for _, d := range []string{
		"gpu", "media", "staging", "infiniband", "iio", "usb", "hid", "hwmon", "scsi", "mtd", "mmc", "input", "isdn", "video", "edac",
		"net/wireless", "net/ethernet", "net/usb", "net/can", "thunderbolt", "ata", "bluetooth", "target", "md", "block",
	} {
		paths = append(paths, "lib/modules/*/kernel/drivers/"+d)
	}
	return paths
}
