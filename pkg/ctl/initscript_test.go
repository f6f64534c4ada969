package ctl

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestInitStatus: the line and the exit code of `lvs-realserver status`.
func TestInitStatus(t *testing.T) {
	agent := func(found ...problem.Problem) any {
		return status.Agent{
			Head:           status.Head{Node: "mysql1", Role: "realserver", ProblemDetails: append([]problem.Problem{}, found...)},
			VirtualServers: []status.Membership{{Name: "mysql"}},
		}
	}
	for _, tt := range []struct {
		name   string
		status any // nil: no daemon
		args   string
		code   int
		line   string
	}{
		{"in order", agent(), "", 0, "lvs-realserver is running: mysql1: ready for 1 virtual server\n"},
		{
			"a warning", agent(problem.Problem{Severity: problem.Warning, Text: "the rules cannot be read"}),
			"", 0, "lvs-realserver is running, with a warning: the rules cannot be read\n",
		},
		{
			"clients fail", agent(problem.Problem{Severity: problem.Critical, Text: "nothing listens"}, problem.Problem{Severity: problem.Warning, Text: "w"}),
			"", 3, "lvs-realserver is running, but clients are not served: nothing listens; w\n",
		},
		{"stopped", nil, "", 3, "lvs-realserver is stopped: socket SOCKET: no daemon answers: is lvs-realserver running? (systemctl status lvs-realserver; another socket: --socket)\n"},
		{"a director", healthy(), "", 4, "lvs-realserver: unknown: the daemon on this socket is a director: give the agent's with --socket\n"},
		{"an old agent", status.Agent{Head: status.Head{Node: "mysql1", Role: "realserver"}}, "", 4, "lvs-realserver: unknown: mysql1: the daemon is of an older version"},
		{"not understood", "text", "", 4, "lvs-realserver: unknown: the daemon's answer is not understood"},
		{"an argument", agent(), "mysql", 4, "status: want no arguments\n"},
		{"no such flag", agent(), "--nope", 4, "status: unknown flag: --nope\n"},
		{"no time", agent(), "--timeout 0s", 4, "status: --timeout 0s: must be more than 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "nobody")
			if tt.status != nil {
				socket = serve(t, api.Handlers{Status: func() any { return tt.status }})
			}
			var out bytes.Buffer
			cmd := InitStatus(socket)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(strings.Fields(tt.args))
			code := daemon.Execute(t.Context(), cmd)
			if line := strings.ReplaceAll(out.String(), socket, "SOCKET"); code != tt.code || !strings.HasPrefix(line, tt.line) || strings.Count(line, "\n") != 1 {
				t.Errorf("exit %d, %q; want %d, %q", code, line, tt.code, tt.line)
			}
		})
	}
}
