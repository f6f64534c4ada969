package ctl

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// tryWithin is how long one command may take to be looked at.
const tryWithin = 2 * time.Second

// tryCommands returns warnings about commands of tracks that cannot be run on this machine, if it is a director of the
// file and lvsctl may become other users.
func tryCommands(path string, cfg *config.Config, try func(context.Context, command.Command) command.Outcome) []located {
	if _, err := cfg.DirectorNamed(daemon.Names("")...); err != nil || os.Geteuid() != 0 {
		return nil
	}
	var all []located
	for n, t := range cfg.Tracks {
		check, is := t.Check.Kind.(config.CommandCheck)
		if !is {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), tryWithin)
		outcome := try(ctx, command.Of(check))
		cancel()
		if !outcome.Good() {
			at, message := fmt.Sprintf("tracks[%d].command", n), "cannot be run on this machine, which counts as a failure: "+cmp.Or(outcome.Unrunnable, outcome.String())
			all = append(all, located{Path: at, Message: message, Warning: true, text: fmt.Sprintf("%s: warning: %s: track %s: %s", path, at, t.Name, message)})
		}
	}
	return all
}
