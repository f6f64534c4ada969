package clusterfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const good = "version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\n" +
	"vrrp_instances: [{name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}]\n"

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRead(t *testing.T) {
	file := write(t, good)
	f, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if f.Config.File != file || len(f.Config.Instances) != 1 || string(f.Data) != good {
		t.Errorf("%+v", f)
	}
}

func TestReadListsEveryErrorWithItsPosition(t *testing.T) {
	file := write(t, strings.NewReplacer("51", "0", "10.77.0.100", "10.77.0.2").Replace(good))
	f, err := Read(file)
	var invalid *InvalidError
	if f.Config != nil || !errors.As(err, &invalid) || !Refused(err) || len(f.Problems) < 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, file+":3:") {
			t.Errorf("%q does not begin with its position", line)
		}
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe") // it has no writer: a blocking open would never return
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(dir, "absent"), "no such file"},
		{dir, "not a regular file"},
		{pipe, "not a regular file"},
		{"/dev/zero", "not a regular file"},
		{write(t, strings.Repeat("#", Most+1)), "larger than 2 MiB"},
	} {
		_, err := Read(tt.path)
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || !Refused(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.want)
		}
	}
}

// The reported size of a file is not trusted: it may be 0 for a file with content, and a file may be longer than a
// piece.
func TestSlurpReadsToTheEnd(t *testing.T) {
	long := strings.Repeat("# a comment\n", 3*piece/12)
	if got, err := slurp(write(t, long)); err != nil || string(got) != long {
		t.Errorf("%d bytes of %d, %v", len(got), len(long), err)
	}
	if got, err := slurp("/proc/self/maps"); err != nil || len(got) == 0 {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := slurp(write(t, "")); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}
