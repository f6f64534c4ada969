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
	cfg, _, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.File != file || len(cfg.Instances) != 1 {
		t.Errorf("file %q, %d instances", cfg.File, len(cfg.Instances))
	}
}

func TestReadListsEveryErrorWithItsPosition(t *testing.T) {
	file := write(t, strings.NewReplacer("51", "0", "10.77.0.100", "10.77.0.2").Replace(good))
	cfg, problems, err := Read(file)
	var invalid *InvalidError
	if cfg != nil || !errors.As(err, &invalid) || !Refused(err) || len(problems) < 2 {
		t.Fatalf("%v, %v, %v", cfg, problems, err)
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, file+":3:") {
			t.Errorf("%q does not begin with its position", line)
		}
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe") // nobody writes into it: an open would wait for ever
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(dir, "absent"), "no such file"},
		{dir, "not a regular file"},
		{pipe, "not a regular file"},
		{"/dev/zero", "not a regular file"},
		{write(t, strings.Repeat("#", Most+1)), "larger than 16 MiB"},
	} {
		_, _, err := Read(tt.path)
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || !Refused(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.want)
		}
	}
}
