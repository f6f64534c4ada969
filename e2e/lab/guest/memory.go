package guest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// memoryDir chooses the directory for the guest's memory: a file that the kernel unlinks at once and maps executable. A
// tmpfs is preferred, because every page of a file on a disk would be written back.
func memoryDir(mebibytes int) (string, error) {
	var tried []string
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		reason := unfitForMemory(dir, uint64(mebibytes)<<20)
		if reason == "" {
			return dir, nil
		}
		tried = append(tried, dir+" "+reason)
	}
	return "", fmt.Errorf("no room for %d MiB of guest memory (%s): free some, or set TMPDIR to a directory with enough room", mebibytes, strings.Join(tried, ", "))
}

// unfitForMemory returns why dir cannot hold need bytes of guest memory, "" if it can.
func unfitForMemory(dir string, need uint64) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err.Error()
	}
	switch free := st.Bavail * uint64(st.Bsize); {
	case free < need:
		return fmt.Sprintf("has only %d MiB free", free>>20)
	case st.Flags&unix.ST_NOEXEC != 0:
		return "is mounted noexec" // as in many containers
	case unix.Access(dir, unix.W_OK) != nil:
		return "is not writable"
	}
	return ""
}
