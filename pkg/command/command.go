package command

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Command is a program to run.
type Command struct {
	// Argv is the program and its arguments. The program is an absolute path.
	Argv []string
	// User is the user that it runs as, a name or a number. "" is DefaultUser if this process is root, and otherwise the
	// user of this process.
	User string
	// Groups are its groups, names or numbers, the primary one first; nil: those that User is a member of.
	Groups []string
	// Env are variables in addition to those of Environment, "NAME=value".
	Env []string
	// Attempt: only find out whether it could be run; see Runner.Try.
	Attempt bool
}

// Of returns the command of a check.
func Of(c config.CommandCheck) Command {
	return Command{Argv: c.Argv.Words(), User: c.User, Groups: c.Groups.Words()}
}

// DefaultUser is who programs run as if this process is root and the cluster file names no user.
const DefaultUser = "nobody"

// searchPath is the value of PATH.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Outcome is how a run ended. The zero value is exit status 0.
type Outcome struct {
	// Unrunnable is why the program could not be started, with the remedy; "" if it was.
	Unrunnable string
	// Busy is why it was not started: an earlier run has not ended, although it was killed; "" if it was started.
	Busy string
	// TimedOut: its time was over, and it was killed.
	TimedOut bool
	// Status is its exit status, Signal the name of the signal that ended it, "" if none did.
	Status int
	Signal string
	// Output is the first line that it printed, printable and at most outputShown bytes.
	Output string
	Took   time.Duration
}

// Good reports whether the program ended with exit status 0.
func (o Outcome) Good() bool {
	return o.Unrunnable == "" && o.Busy == "" && !o.TimedOut && o.Signal == "" && o.Status == 0
}

// Weighs reports whether the exit status may be a weight plus 2, as keepalived's misc_dynamic has it.
func (o Outcome) Weighs() bool {
	return o.Unrunnable == "" && o.Busy == "" && !o.TimedOut && o.Signal == "" && o.Status >= 2
}

// String describes the outcome without its output: "exit status 1".
func (o Outcome) String() string {
	switch {
	case o.Unrunnable != "":
		return "cannot be run: " + o.Unrunnable
	case o.Busy != "":
		return o.Busy
	case o.TimedOut:
		return "killed after " + round(o.Took).String() + ", because it had not ended"
	case o.Signal != "":
		return "ended by the signal " + o.Signal
	default:
		return fmt.Sprintf("exit status %d", o.Status)
	}
}

// round leaves two or three significant digits.
func round(d time.Duration) time.Duration {
	if d >= 100*time.Millisecond {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
