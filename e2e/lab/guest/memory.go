package guest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// memoryDir chooses where the guest's memory lives: a file that the kernel
// unlinks at once and maps executable. A tmpfs comes first: every page of a file
// on a disk would be written back.
func memoryDir(mebibytes int) (string, error) {
	var tried []string
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		why := unfitForMemory(dir, uint64(mebibytes)<<20)
		if why == "" {
			return dir, nil
		}
		tried = append(tried, dir+" "+why)
	}
	return "", fmt.Errorf("no place for %d MiB of guest memory (%s): free some, or point TMPDIR at a directory with room", mebibytes, strings.Join(tried, ", "))
}

// unfitForMemory says what keeps dir from holding so many bytes, "" if nothing.
func unfitForMemory(dir string, need uint64) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err.Error()
	}
	switch free := st.Bavail * uint64(st.Bsize); {
	case free < need:
		return fmt.Sprintf("has %d MiB", free>>20)
	case st.Flags&unix.ST_NOEXEC != 0:
		return "is mounted noexec" // as in many containers
	case unix.Access(dir, unix.W_OK) != nil:
		return "may not be written"
	}
	return ""
}
