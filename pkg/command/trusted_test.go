package command

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
)

// rootsDirectory returns a directory that only root can change, as all above it; that for temporary files is everybody's. It
// is a file system of its own, which only the thread of the test sees.
func rootsDirectory(t *testing.T) string {
	t.Helper()
	const dir = "/mnt"
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755")
	}
	if err != nil {
		require.Skip(t, require.Netns, "a mount namespace: %v", err)
	}
	return dir
}

// TestTrusted: the program, the directories above it and the links on the way must be root's.
func TestTrusted(t *testing.T) {
	require.Root(t)
	dir := rootsDirectory(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"ours", "shared", "theirs"} {
		if err := os.Mkdir(at(d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(d+"/program"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(at("shared"), 0o775))
	must(os.Chown(at("shared"), 0, 50))
	must(os.Chown(at("theirs/program"), 1234, 0))
	must(os.Symlink("../shared/program", at("ours/link")))
	must(os.Symlink(at("shared"), at("ours/through")))
	must(os.Symlink("loop", at("ours/loop")))
	must(os.Symlink("program", at("ours/their-link")))
	must(os.Lchown(at("ours/their-link"), 1234, 0))
	for program, want := range map[string]string{
		"ours/program":                  "",
		"shared/../ours/program":        "others may write to " + at("shared"),
		"shared/program":                "others may write to " + at("shared"),
		"theirs/program":                "belongs to user 1234",
		"ours/link":                     "others may write to " + at("shared"),
		"ours/through/../theirs/x":      "others may write to " + at("shared"),
		"ours/loop":                     "too many symbolic links",
		"ours/their-link":               "belongs to user 1234",
		"ours/missing":                  "does not exist",
		"ours/../ours/./program":        "",
		"ours/through/../ours//program": "others may write to " + at("shared"),
	} {
		switch err := trusted(dir + "/" + program); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
	if err := trusted("program"); err == nil {
		t.Error("a relative path is trusted")
	}
}
