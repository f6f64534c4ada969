package program

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

const clusterFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    real_servers: [{name: mysql1, address: 10.77.0.11}]
`

// execute runs the program and returns its exit code and its error message.
func execute(t *testing.T, arguments ...string) (int, string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := root(program())
	cmd.SetArgs(arguments)
	cmd.SetErr(&stderr)
	cmd.SetOut(&stderr)
	return daemon.Execute(t.Context(), cmd), stderr.String()
}

func TestWrongUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.yaml")
	if err := os.WriteFile(file, []byte(clusterFile), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := statefile.Open(filepath.Join(dir, "held", "realserver"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()

	notHere := "lvs-realserver: " + file + ` names no real server "lvs-master", only mysql1: choose one with --node` + "\n"
	tests := []struct {
		name      string
		arguments []string
		code      int
		complaint string // "" is any
	}{
		{"no such flag", []string{"run", "--conf", file}, daemon.ExitUsage, ""},
		{"no file", []string{"run", "--config", filepath.Join(dir, "absent.yaml")}, daemon.ExitUsage, ""},
		{"status of an agent that is stopped", []string{"status", "--socket", filepath.Join(dir, "nobody")}, 3, ""},
		{"wrong use of status", []string{"status", "--sockt", "s"}, 4, "lvs-realserver: unknown flag: --sockt\n"},
		{"not a real server", []string{"run", "--config", file, "--node", "lvs-master", "--state-dir", filepath.Join(dir, "never run")}, daemon.ExitUsage, notHere},
		{"not a real server, beside an agent that is", []string{"run", "--config", file, "--node", "lvs-master", "--state-dir", filepath.Join(dir, "held")}, daemon.ExitUsage, notHere},
		{
			"a second agent",
			[]string{"run", "--config", file, "--node", "mysql1", "--state-dir", filepath.Join(dir, "held"), "--socket", filepath.Join(dir, "s")},
			daemon.ExitFailed, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, complaint := execute(t, tt.arguments...)
			// The log is on stderr too; the error message is at its end.
			if code != tt.code || !bytes.HasSuffix([]byte(complaint), []byte(tt.complaint)) || complaint == "" {
				t.Errorf("exit %d, %q; want %d, %q", code, complaint, tt.code, tt.complaint)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "never run")); err == nil {
		t.Error("an unnecessary state directory was created")
	}
}
