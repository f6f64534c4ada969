package resident

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock reads the code of this program into memory and keeps it there until it ends, and its constants from their first use on: half
// of those are tables for the names and lines of functions, most of which are never read. It returns the size of both, in bytes.
//
// Errors: what is locked already stays so. The limit of locked memory (RLIMIT_MEMLOCK, LimitMEMLOCK= in the unit) may be too low for
// a process without CAP_IPC_LOCK.
func Lock() (size int, err error) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, fmt.Errorf("find the program: %w (mount /proc)", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, fmt.Errorf("find the program's memory: %w (mount /proc)", err)
	}
	for _, r := range rangesOf(maps, program) {
		if _, _, errno := unix.Syscall(unix.SYS_MLOCK2, r.from, r.to-r.from, uintptr(r.flags)); errno != 0 {
			return size, lockError(errno)
		}
		size += int(r.to - r.from)
	}
	if size == 0 {
		return 0, fmt.Errorf("the program %s is not in the list of its own memory", program)
	}
	return size, nil
}

func lockError(errno error) error {
	if errors.Is(errno, unix.ENOMEM) || errors.Is(errno, unix.EPERM) || errors.Is(errno, unix.EAGAIN) {
		return fmt.Errorf("lock memory: %w (set LimitMEMLOCK=64M in the unit)", errno)
	}
	return fmt.Errorf("lock memory: %w", errno)
}

// span is a range of addresses.
type span struct {
	from, to uintptr
	flags    int // of mlock2(2): 0 reads all of it now
}

// rangesOf returns the mappings of a file that are not written to, from /proc/PID/maps (proc_pid_maps(5)).
func rangesOf(maps []byte, file string) []span {
	var all []span
	for line := range bytes.Lines(maps) {
		// "00400000-00c5d000 r-xp 00000000 fe:00 1234  /usr/local/bin/lvs-director"
		fields := strings.Fields(string(line))
		if len(fields) < 6 || strings.Contains(fields[1], "w") || !strings.HasSuffix(strings.TrimRight(string(line), "\n"), " "+file) {
			continue
		}
		low, high, _ := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(low, 16, 64)
		to, err2 := strconv.ParseUint(high, 16, 64)
		if err1 == nil && err2 == nil && to > from {
			flags := unix.MLOCK_ONFAULT
			if strings.Contains(fields[1], "x") {
				flags = 0
			}
			all = append(all, span{uintptr(from), uintptr(to), flags})
		}
	}
	return all
}
