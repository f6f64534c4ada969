package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// The exit codes of the status verb of an init script (Linux Standard Base 5.0, core, section 22.2).
const (
	initStopped = 3 // not running, and here also: running, with a critical problem
	initUnknown = 4
)

// InitStatus returns the verb status of lvs-realserver, with the exit codes of an init script: 0 if the agent runs and has
// no critical problem, 3 if it does not run or has one, 4 if that cannot be told. socket is the default of --socket.
func InitStatus(socket string) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "print one line and exit as an init script does: 0 in order, 3 stopped or not serving clients, 4 unknown",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return initWrongUse(cmd, errors.New("want no arguments"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return initWrongUse(cmd, fmt.Errorf("--timeout %s: must be more than 0", timeout))
			}
			return initStatus(cmd.Context(), cmd.OutOrStdout(), socket, timeout)
		},
	}
	cmd.SetFlagErrorFunc(initWrongUse) // 2, the code for wrong usage, would say that the program is dead
	cmd.Flags().StringVar(&socket, "socket", socket, "the agent's socket")
	cmd.Flags().DurationVar(&timeout, "timeout", api.DefaultTimeout, "how long to wait for an agent that does not answer")
	return cmd
}

func initWrongUse(cmd *cobra.Command, err error) error {
	fmt.Fprintln(cmd.ErrOrStderr(), daemon.Message(cmd.Root(), err))
	return &daemon.PrintedError{Code: initUnknown}
}

// initStatus prints the line and returns its exit code as an error, nil for 0.
func initStatus(ctx context.Context, w io.Writer, socket string, timeout time.Duration) error {
	c := api.NewClient(socket)
	c.Unit, c.Timeout = theAgent.unit, timeout
	document, err := c.Status(ctx)
	line, code := "", initUnknown
	switch {
	case errors.Is(err, api.ErrNoDaemon):
		line, code = "lvs-realserver is stopped: "+err.Error(), initStopped
	case err != nil:
		line = "lvs-realserver: unknown: " + err.Error()
	default:
		line, code = initLine(document)
	}
	fmt.Fprintln(w, line)
	if code == 0 {
		return nil
	}
	return &daemon.PrintedError{Code: code}
}

// initLine judges a status document.
func initLine(document []byte) (line string, code int) {
	who, err := role(document)
	if err == nil && who != "realserver" {
		return fmt.Sprintf("lvs-realserver: unknown: the daemon on this socket is a %s: give the agent's with --socket", who), initUnknown
	}
	switch found, text, _ := evaluate(document); found {
	case 0:
		return "lvs-realserver is running: " + text, 0
	case 1:
		return "lvs-realserver is running, with a warning: " + text, 0
	case 2:
		return "lvs-realserver is running, but clients are not served: " + text, initStopped
	default:
		return "lvs-realserver: unknown: " + text, initUnknown
	}
}
