package host

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// shutdownWithin limits how long systemd is asked.
const shutdownWithin = time.Second

// ShutsDown implements director.Kernel. It asks systemd, of which it is known that it runs; without it the answer is no.
func (Host) ShutsDown(ctx context.Context) bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownWithin)
	defer cancel()
	// At a stop with KillMode=control-group systemd may kill the program that asks, together with the daemon.
	for ctx.Err() == nil {
		state, err := exec.CommandContext(ctx, "systemctl", "is-system-running").Output() // its exit status says only whether it is "running"
		if killed := new(exec.ExitError); !errors.As(err, &killed) || killed.Exited() {
			return strings.TrimSpace(string(state)) == "stopping"
		}
	}
	return false
}
