package guest

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LeftOut is the time that a guest wanted to work and the machine's CPUs were with others, or a disk was slow. The guest's
// clock stood still then (preload/clock.c), so that what is measured in a guest is the guest.
type LeftOut struct {
	Total, Longest time.Duration
	Stills         int // how often it was 10 ms or more at once
}

func (l LeftOut) String() string {
	return fmt.Sprintf("%s, %s of it at once; it stood still %d times",
		l.Total.Round(time.Millisecond), l.Longest.Round(time.Millisecond), l.Stills)
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
