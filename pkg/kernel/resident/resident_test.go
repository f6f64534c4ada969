package resident

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

const program = "/usr/local/bin/lvs-director"

func TestRangesOf(t *testing.T) {
	for _, tt := range []struct {
		maps string
		want []span
	}{
		{"", nil},
		{
			"00400000-00c5d000 r-xp 00000000 fe:00 1234                               " + program + "\n" +
				"00c5d000-0161a000 r--p 0085d000 fe:00 1234                               " + program + "\n" +
				"0161a000-0167c000 rw-p 0121a000 fe:00 1234                               " + program + "\n" +
				"0167c000-016c8000 rw-p 00000000 00:00 0 \n" +
				"c000000000-c000400000 rw-p 00000000 00:00 0 \n" +
				"7ffc4b3f5000-7ffc4b416000 rw-p 00000000 00:00 0                          [stack]\n",
			[]span{{0x400000, 0xc5d000, 0}, {0xc5d000, 0x161a000, unix.MLOCK_ONFAULT}},
		},
		{"00400000-00c5d000 r-xp 00000000 fe:00 1234 " + program + ".old\n", nil},
		{"00400000-00c5d000 r-xp 00000000 fe:00 1234 /other" + program + "\n", nil},
		{"00400000-00c5d000 r-xp 00000000 fe:00 1234 " + program + " (deleted)\n", nil},
		{"00400000-00400000 r-xp 0 0 0 " + program + "\nzz-00c5d000 r-xp 0 0 0 " + program + "\n00400000 r-xp 0 0 0 " + program + "\n", nil},
		{"7f0000000000-7f0000001000 r--p 0 0 0 " + program, []span{{0x7f0000000000, 0x7f0000001000, unix.MLOCK_ONFAULT}}},
	} {
		if got := rangesOf([]byte(tt.maps), program); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %x, want %x", tt.maps, got, tt.want)
		}
	}
}

// TestLock: the kernel has locked what it says, and nearly all of the file.
func TestLock(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	size, err := Lock()
	if err != nil && os.Geteuid() != 0 && limit.Cur < 64<<20 {
		t.Skipf("%v; the limit is %d", err, limit.Cur)
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _, _ = unix.Syscall(unix.SYS_MUNLOCKALL, 0, 0, 0) }()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmLck:\s+(\d+) kB`).FindSubmatch(status)
	if locked, _ := strconv.Atoi(string(found[1])); locked<<10 != size || size < 1<<20 {
		t.Errorf("%d kB are locked, want %d bytes", locked, size)
	}
}

// TestLimit: a process that may lock less is told what to change.
func TestLimit(t *testing.T) {
	if got := lockError(unix.ENOMEM).Error(); !regexp.MustCompile(`LimitMEMLOCK=64M`).MatchString(got) {
		t.Error(got)
	}
}
