package ctl

import (
	"context"
	"os"
	"testing"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestTryCommands: on a director of the file, a command that cannot be run is a warning.
func TestTryCommands(t *testing.T) {
	require.Root(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Directors: []config.Director{{Name: host}}, Tracks: []config.Track{
		{Name: "gateway", Check: config.Check{Kind: config.TCPCheck{}}},
		{Name: "good", Check: config.Check{Kind: config.CommandCheck{Argv: config.ArgvOf("/bin/true")}}},
		{Name: "bad", Check: config.Check{Kind: config.CommandCheck{Argv: config.ArgvOf("/bin/check", "-v"), User: "mysql"}}},
	}}
	try := func(_ context.Context, c command.Command) (o command.Outcome) {
		if c.Argv[0] == "/bin/true" {
			return o
		}
		o.Unrunnable = c.Argv[0] + " does not exist for " + c.User
		return o
	}
	got := tryCommands("cluster.yaml", cfg, try)
	want := "cluster.yaml: warning: tracks[2].command: track bad: cannot be run on this machine, which counts as a failure: /bin/check does not exist for mysql"
	if len(got) != 1 || got[0].text != want || !got[0].Warning {
		t.Errorf("%+v", got)
	}
	cfg.Directors[0].Name = host + "-other"
	if got := tryCommands("cluster.yaml", cfg, try); got != nil {
		t.Errorf("on another machine: %+v", got)
	}
}
