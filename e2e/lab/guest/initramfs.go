package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// initramfsModules and initramfsResident are directories of the initramfs.
	initramfsModules  = "/modules"
	initramfsResident = "/resident"
)

// newInitramfs creates the initramfs of a Stock kernel in memory: the program as the first process, the modules to
// load, and the resident files at their own paths below initramfsResident.
func newInitramfs(program string, stock Stock, resident []string) (_ *os.File, err error) {
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory for the initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	a := &archive{w: w, has: make(map[string]bool)}
	for _, d := range []string{"/dev", "/proc", "/sys", scratch, initramfsModules, initramfsResident} {
		if err := a.directory(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := a.file("/init", program); err != nil {
		return nil, err
	}
	modules, err := filepath.Glob(filepath.Join(stock.modules(), "*"))
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := a.file(filepath.Join(initramfsModules, filepath.Base(m)), m); err != nil {
			return nil, err
		}
	}
	for _, r := range resident {
		if err := a.resident(r); err != nil {
			return nil, err
		}
	}
	return f, errors.Join(a.end(), w.Flush())
}

// archive writes a cpio archive in the kernel's newc format
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w   io.Writer
	ino int
	has map[string]bool // paths that are in the archive
}

// resident adds a file of the machine and its parent directories, none of which may be a link: a directory of the
// archive would hide a link of the machine.
func (a *archive) resident(path string) error {
	var parents []string
	for d := filepath.Dir(path); d != "/"; d = filepath.Dir(d) {
		parents = append(parents, d)
	}
	for _, d := range slices.Backward(parents) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		mode := uint32(info.Mode().Perm())
		if info.Mode()&os.ModeSticky != 0 {
			mode |= unix.S_ISVTX
		}
		if err := a.directory(initramfsResident+d, mode); err != nil {
			return err
		}
	}
	return a.file(initramfsResident+path, path)
}

func (a *archive) directory(path string, mode uint32) error {
	if a.has[path] {
		return nil
	}
	return a.entry(path, unix.S_IFDIR|mode, 0, strings.NewReader(""))
}

func (a *archive) file(path, source string) error {
	if a.has[path] {
		return nil
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", source)
	}
	return a.entry(path, unix.S_IFREG|uint32(info.Mode().Perm()), info.Size(), f)
}

func (a *archive) entry(path string, mode uint32, size int64, content io.Reader) error {
	if size > 1<<32-1 {
		return fmt.Errorf("%s is too large for the guest's memory: %d MiB", path, size>>20)
	}
	a.has[path] = true
	a.ino++
	name := strings.TrimPrefix(path, "/") + "\x00"
	header := "070701"
	for _, field := range []uint32{uint32(a.ino), mode, 0, 0, 1, 0, uint32(size), 0, 0, 0, 0, uint32(len(name)), 0} {
		header += fmt.Sprintf("%08x", field)
	}
	if err := a.padded(strings.NewReader(header+name), int64(len(header)+len(name))); err != nil {
		return err
	}
	return a.padded(content, size)
}

// padded writes size bytes from r, and pads with zeros to a multiple of four.
func (a *archive) padded(r io.Reader, size int64) error {
	if _, err := io.CopyN(a.w, r, size); err != nil {
		return err
	}
	_, err := a.w.Write(make([]byte, -size&3))
	return err
}

func (a *archive) end() error {
	return a.entry("TRAILER!!!", 0, 0, strings.NewReader(""))
}
