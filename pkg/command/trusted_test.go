package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/require"
)

// TestTrusted: the program, the directories above it and the links on the way must be root's.
func TestTrusted(t *testing.T) {
	require.Root(t)
	dir, err := os.MkdirTemp("/root", "trusted") // the directory for temporary files is everybody's
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
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
