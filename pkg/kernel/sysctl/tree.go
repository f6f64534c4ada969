package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var (
	// ErrMissing: the kernel has no such parameter, because its interface does not exist or its module is not loaded.
	ErrMissing = errors.New("no such kernel parameter (is the interface there, is the module loaded?)")
	// errNotPermitted: the parameter may not be written, or read.
	errNotPermitted = fmt.Errorf("%w: run as root with CAP_NET_ADMIN, without ProtectKernelTunables= in the service unit; or set it in /etc/sysctl.d",
		kernel.ErrNotPermitted)
	// ErrRefused: the kernel does not accept the value.
	ErrRefused = errors.New("the kernel refuses this value")
)

// Tree is a directory of kernel parameters. The zero value is not usable; see Proc and At.
type Tree struct {
	root string
}

// Proc returns the kernel's tree. Its part under net belongs to the network namespace of the calling thread.
func Proc() Tree { return At("/proc/sys") }

// At returns the tree in another directory: of a container, or a fake one in a test.
func At(root string) Tree { return Tree{root: root} }

// Get reads a value, without the white space around it.
//
// Errors: ErrMissing, kernel.ErrNotPermitted.
func (t Tree) Get(key string) (string, error) {
	value, err := t.read(key)
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", key, err)
	}
	return value, nil
}

// Set ensures that the parameter has the value and returns the previous one. If the value is already set it is not
// written, so that a read-only tree with the right value is not an error.
//
// Errors: ErrMissing, kernel.ErrNotPermitted, ErrRefused. previous is "" only if reading failed.
func (t Tree) Set(key, value string) (previous string, err error) {
	previous, err = t.read(key)
	if err == nil && !same(previous, value) {
		err = t.write(key, value)
	}
	if err != nil {
		return previous, fmt.Errorf("set sysctl %s = %s: %w", key, value, err)
	}
	return previous, nil
}

func (t Tree) read(key string) (string, error) {
	p, err := path(key)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(t.root, p))
	if err != nil {
		return "", translate(err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (t Tree) write(key, value string) error {
	p, err := path(key)
	if err != nil {
		return err
	}
	// No O_CREATE: a missing parameter is an error in a fake tree too.
	f, err := os.OpenFile(filepath.Join(t.root, p), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return translate(err)
	}
	_, err = f.WriteString(value + "\n")
	return translate(errors.Join(err, f.Close()))
}

// translate maps file system errors to the errors that callers branch on. For an interface that was just removed,
// opening a parameter gives ENOENT and writing to it ENODEV.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENODEV):
		return ErrMissing
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errNotPermitted
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ERANGE):
		return ErrRefused
	}
	return err
}
