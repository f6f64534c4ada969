package guest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LeftOut is the time that a machine kept from a guest by giving its CPUs to others. The guest's clock stood still then
// (preload/clock.c), so that what is measured in a guest is the guest.
type LeftOut struct {
	Total, Longest time.Duration
	Stills         int // how often it was 10 ms or more at once
}

func (l LeftOut) String() string {
	return fmt.Sprintf("%s, %s of it at once; it stood still %d times",
		l.Total.Round(time.Millisecond), l.Longest.Round(time.Millisecond), l.Stills)
}

//go:embed preload/clock.c
var clockSource []byte

// clock returns the library of the guest's clock, and compiles it first where the cache has none. Without a compiler
// there is none, "", and a guest sees the machine as it is.
func (c Cache) clock(ctx context.Context, progress io.Writer) string {
	sum := sha256.Sum256(clockSource)
	path := filepath.Join(c.Dir, fmt.Sprintf("clock-%x.so", sum[:4]))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := compile(ctx, clockSource, path); err != nil {
		fmt.Fprintf(progress, "lab: no clock of its own for the guest: what it measures is this machine, too: %v: install gcc and libc6-dev\n", err)
		return ""
	}
	return path
}

// compile makes a library of C. Concurrent calls, of other processes too, each make it whole.
func compile(ctx context.Context, source []byte, path string) error {
	work, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	work.Close()
	defer os.Remove(work.Name()) // fails where it was renamed
	cmd := exec.CommandContext(ctx, "cc", "-x", "c", "-", "-O2", "-shared", "-fPIC", "-o", work.Name())
	cmd.Stdin = strings.NewReader(string(source))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Chmod(work.Name(), 0o755); err != nil {
		return err
	}
	return os.Rename(work.Name(), path)
}

// account is memory in which the guest's clock says what it leaves out, struct left_out of preload/clock.c.
type account struct{ file *os.File }

const accountSize = 3 * 8

func newAccount() (account, error) {
	fd, err := unix.MemfdCreate("left out", unix.MFD_CLOEXEC)
	if err != nil {
		return account{}, fmt.Errorf("memory for the guest's clock: %w", err)
	}
	a := account{os.NewFile(uintptr(fd), "left out")}
	return a, a.file.Truncate(accountSize)
}

func (a account) leftOut() LeftOut {
	var raw [accountSize]byte
	if _, err := a.file.ReadAt(raw[:], 0); err != nil {
		return LeftOut{}
	}
	at := func(i int) int64 { return int64(binary.NativeEndian.Uint64(raw[8*i:])) }
	return LeftOut{Total: time.Duration(at(0)), Longest: time.Duration(at(1)), Stills: int(at(2))}
}
