package ctl

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestLive(t *testing.T) {
	var stalled []string
	socket := serve(t, api.Handlers{Live: func() (int, []string) { return 7, stalled }})
	if code, out, err := lvsctl(t, "--socket", socket, "live"); code != 0 || out != "live: all 7 loops of the daemon run\n" || err != "" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
	stalled = []string{"the table loop", "the checker"}
	if code, out, _ := lvsctl(t, "--socket", socket, "live"); code != 1 || !strings.HasPrefix(out, "not live: the table loop and the checker made no progress for 30s (") {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := lvsctl(t, "--socket", socket, "-o", "json", "live"); code != 1 || !strings.HasPrefix(out, "{\n  \"exit_code\": 1,\n  \"text\": \"the table loop") {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := lvsctl(t, "--socket", "/nonexistent/s", "live"); code != 1 || !strings.HasPrefix(out, "not live: socket /nonexistent/s: no daemon answers") {
		t.Errorf("no daemon: exit %d, %q", code, out)
	}
	if code, out, _ := lvsctl(t, "--socket", serve(t, api.Handlers{}), "live"); code != 1 || !strings.HasPrefix(out, "not live: the daemon is of an older version") {
		t.Errorf("an older daemon: exit %d, %q", code, out)
	}
}

// Only what a daemon does itself counts: not peers, not servers, and no warning about anything else.
func TestReady(t *testing.T) {
	var found []problem.Problem
	socket := serve(t, api.Handlers{Status: func() any {
		return status.Director{Head: status.Head{Node: "lvs-master", Role: "director", ConfigDigest: "sha256:0123456789abcdef", ProblemDetails: found}}
	}})
	for _, tt := range []struct {
		name     string
		problems []problem.Problem
		code     int
		out      string
	}{
		{"no problem", []problem.Problem{}, 0, "ready: lvs-master runs the cluster file sha256:0123456789ab\n"},
		{"all servers down, two MASTERs", []problem.Problem{{Code: problem.VirtualServerDown}, {Code: problem.TwoMasters}, {Code: problem.InstanceFault}}, 0, "ready: "},
		{"no such interface", []problem.Problem{{Code: problem.TwoMasters}, {Code: problem.InstanceFault, Unready: true, Text: "no eth9"}}, 1, "not ready: no eth9\n"},
		{"no privilege", []problem.Problem{{Code: problem.SocketUnavailable, Text: "not permitted"}}, 1, "not ready: not permitted\n"},
		{"starting", []problem.Problem{{Code: problem.DaemonStarting, Text: "starting"}}, 1, "not ready: starting\n"},
		{"the last good copy", []problem.Problem{{Code: problem.VirtualServerDown}, {Code: problem.ClusterFileUnusable, Text: "line 3"}}, 1, "not ready: line 3\n"},
		{"table not in sync", []problem.Problem{{Code: problem.TableWrong, Text: "ip_vs"}}, 1, "not ready: ip_vs\n"},
		{"an older daemon", nil, 1, "not ready: the daemon is of an older version"},
	} {
		found = tt.problems
		if code, out, err := lvsctl(t, "--socket", socket, "ready"); code != tt.code || !strings.HasPrefix(out, tt.out) || err != "" {
			t.Errorf("%s: exit %d, %q, %q", tt.name, code, out, err)
		}
	}
	if code, out, _ := lvsctl(t, "--socket", "/nonexistent/s", "ready"); code != 1 || !strings.HasPrefix(out, "not ready: socket /nonexistent/s: no daemon answers") {
		t.Errorf("no daemon: exit %d, %q", code, out)
	}
	if code, _, _ := lvsctl(t, "ready", "now"); code != 2 {
		t.Errorf("wrong usage: exit %d", code)
	}
}
