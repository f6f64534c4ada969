package rtnl

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// A table that changed while it was read is read again, but not for ever, and its incomplete data is never used.
func TestDump(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails int // so often
		err   error
		want  error
		reads int
	}{
		{"unchanged", 0, nil, nil, 1},
		{"changed meanwhile", dumpAttempts - 1, netlink.ErrDumpInterrupted, nil, dumpAttempts},
		{"changes all the time", dumpAttempts, netlink.ErrDumpInterrupted, netlink.ErrDumpInterrupted, dumpAttempts},
		{"no answer", 1, unix.EAGAIN, ErrTimeout, 1},
		{"not permitted", 1, unix.EPERM, kernel.ErrNotPermitted, 1},
		{"no table", 1, unix.ENOENT, unix.ENOENT, 1},
	} {
		reads := 0
		all, err := Dump(func() ([]int, error) {
			if reads++; reads <= c.fails {
				return []int{1}, c.err
			}
			return []int{1, 2}, nil
		})
		if !errors.Is(err, c.want) || reads != c.reads || (len(all) == 2) != (c.want == nil) || len(all) == 1 {
			t.Errorf("%s: %v, %v after %d reads, want %v after %d", c.name, all, err, reads, c.want, c.reads)
		}
	}
}

func TestOpen(t *testing.T) {
	h, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	links, err := Dump(h.LinkList)
	if err != nil || len(links) == 0 {
		t.Errorf("%v, %v", links, err)
	}
}
