package ctl

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestFrozenDaemon: a process that is stopped still has a socket on which the kernel accepts connections.
func TestFrozenDaemon(t *testing.T) {
	socket, state := filepath.Join(t.TempDir(), "realserver.sock"), t.TempDir()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	silent := "socket " + socket + ": the daemon does not answer within 50ms: it is stopped or has no CPU time (systemctl status lvs-realserver; systemctl restart lvs-realserver)\n"
	left(t, filepath.Join(state, "realserver"), failover()...)
	for _, tt := range []struct {
		args        string
		code        int
		out, errors string
	}{
		{"status", 1, "", "lvsctl: status: " + silent},
		{"status --check", 3, "UNKNOWN: " + silent, ""},
		{"reload", 1, "", "lvsctl: reload: " + silent},
		{"vrrp record", 1, "", "lvsctl: vrrp record: " + silent},
		{
			"events --state-dir " + state, 1, tableOfFailover,
			"lvsctl: events: the daemon does not answer on " + socket + "; these are from " + state + "/realserver/events.jsonl\nlvsctl: events: " + silent,
		},
		{"events -f", 1, "", "lvsctl: events: " + silent},
		{"status --timeout 0s", 2, "", "lvsctl: --timeout 0s: must be more than 0\n"},
		{"status --check --timeout soon", 3, "", "lvsctl: invalid argument"},
	} {
		code, out, errors := lvsctl(t, append([]string{"--socket", socket, "--timeout", "50ms"}, strings.Fields(tt.args)...)...)
		if code != tt.code || out != tt.out || !strings.HasPrefix(errors, tt.errors) {
			t.Errorf("%s: exit %d\n%s%s\nwant %d\n%s%s", tt.args, code, out, errors, tt.code, tt.out, tt.errors)
		}
	}
}
