package ctl

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// overrideCommand is one of the commands about a real server.
type overrideCommand struct {
	*flags
	request status.OverrideRequest
	wait    bool
}

func drainServer(f *flags) *cobra.Command {
	c := overrideCommand{flags: f, request: status.OverrideRequest{Kind: override.Drain}}
	cmd := c.command("drain SERVICE/SERVER|SERVER", "give a real server no new connections, and take it out when the last one has ended")
	cmd.Flags().DurationVar(&c.request.Patience, "timeout", 0, "after what time connections that are still open are cut (default: never)")
	cmd.Flags().BoolVar(&c.wait, "wait", false, "wait until it is drained")
	return cmd
}

func disableServer(f *flags) *cobra.Command {
	c := overrideCommand{flags: f, request: status.OverrideRequest{Kind: override.Disable}}
	return c.command("disable SERVICE/SERVER|SERVER", "take a real server out at once; its connections are cut")
}

func weighServer(f *flags) *cobra.Command {
	c := overrideCommand{flags: f, request: status.OverrideRequest{Kind: override.Weight}}
	return c.command("weight SERVICE/SERVER|SERVER WEIGHT", "give a real server another weight than that of the cluster file or of its checks")
}

func enableServer(f *flags) *cobra.Command {
	c := overrideCommand{flags: f, request: status.OverrideRequest{Kind: override.Enable}}
	return c.command("enable SERVICE/SERVER|SERVER", "end what drain, disable or weight has done")
}

func (c *overrideCommand) command(use, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: c.take, ValidArgsFunction: c.completing(targetNames), RunE: c.run}
	kind := c.request.Kind
	cmd.Flags().StringVar(&c.request.Reason, "reason", "", "why, for lvsctl status and the events")
	if kind == override.Drain || kind == override.Enable {
		cmd.Flags().BoolVar(&c.request.Director, "director", false, "instead of a real server, this director: it hands over, and takes over from no MASTER")
	}
	if kind != override.Enable {
		cmd.Flags().DurationVar(&c.request.Within, "for", 0, "after what time it ends by itself (default: never)")
	}
	if kind == override.Drain || kind == override.Disable {
		cmd.Flags().BoolVar(&c.request.Force, "force", false, "also if it is the last real server that takes connections")
	}
	return cmd
}

// earlyTimeout returns an error for `lvsctl --timeout 4s drain`: the flag of drain has the same name and would be meant,
// which cuts connections.
func earlyTimeout(args []string) error {
	early := false
	for n := 0; n < len(args); n++ {
		name, _, withValue := strings.Cut(args[n], "=")
		early = early || name == "--timeout"
		switch {
		case !strings.HasPrefix(name, "-"):
			if early && name == "drain" {
				return &daemon.UsageError{Err: errors.New("--timeout before drain: of drain it is after what time connections are cut: write it behind")}
			}
			return nil
		case !withValue && (name == "--timeout" || name == "--socket" || name == "--output" || name == "-o"):
			n++
		}
	}
	return nil
}

// take takes in the arguments.
func (c *overrideCommand) take(cmd *cobra.Command, args []string) error {
	want := 1
	if c.request.Kind == override.Weight {
		want = 2
	}
	usage := func(format string, values ...any) error {
		return &daemon.UsageError{Err: fmt.Errorf(format, values...)}
	}
	switch {
	case c.request.Director && len(args) == 0:
		args = []string{""}
		if c.wait || c.request.Patience != 0 {
			return usage("--wait and --timeout are for real servers")
		}
	case c.request.Director:
		return usage("want a real server or --director")
	case len(args) != want || args[0] == "":
		return usage("want %s", strings.TrimPrefix(cmd.Use, cmd.Name()+" "))
	}
	c.request.Target = args[0]
	if want == 2 {
		weight, err := strconv.Atoi(args[1])
		if err != nil || weight < 1 || weight > override.MaxWeight {
			return usage("weight %s: must be 1 to %d; lvsctl drain is for no new connections", args[1], override.MaxWeight)
		}
		c.request.Weight = weight
	}
	for _, name := range []string{"timeout", "for"} {
		given := cmd.LocalNonPersistentFlags().Lookup(name)
		if given != nil && given.Changed && strings.HasPrefix(given.Value.String(), "-") || given != nil && given.Changed && given.Value.String() == "0s" {
			return usage("--%s %s: must be more than 0", name, given.Value)
		}
	}
	return nil
}

func (c *overrideCommand) run(cmd *cobra.Command, _ []string) error {
	done, err := c.client().Override(cmd.Context(), c.request)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	out := cmd.OutOrStdout()
	if c.wait && c.output != "table" {
		out = io.Discard // the last state is printed
	}
	if c.output != "table" && !c.wait {
		return writeValue(out, c.output, done)
	}
	printOverride(out, c.request, done)
	if !c.wait {
		return nil
	}
	return c.awaitDrained(cmd, done)
}

// printOverride says what has happened, and where it has to be done, too.
func printOverride(w io.Writer, r status.OverrideRequest, done status.OverrideResult) {
	name := cmp.Or(r.Target, "this director")
	if r.Director {
		printDirector(w, r, done)
		return
	}
	if !done.Changed {
		fmt.Fprintf(w, "%s is enabled, and was\n", name)
	}
	for _, s := range done.Servers {
		if !done.Changed {
			break
		}
		switch r.Kind {
		case override.Drain:
			fmt.Fprintf(w, "%s: draining, %s open\n", s.Name, connections(s.ActiveConnections))
		case override.Disable:
			fmt.Fprintf(w, "%s: disabled, %s cut\n", s.Name, connections(s.ActiveConnections))
		case override.Weight:
			fmt.Fprintf(w, "%s: weight %d\n", s.Name, r.Weight)
		case override.Enable:
			fmt.Fprintf(w, "%s: enabled: its checks decide\n", s.Name)
		}
	}
	if len(done.Servers) == 0 && done.Changed {
		fmt.Fprintf(w, "%s: enabled; the cluster file has no such real server\n", name)
	}
	if done.Unsaved != "" {
		fmt.Fprintf(w, "not saved, so that a restart of the daemon forgets it: %s\n", done.Unsaved)
	}
	if len(done.Others) > 0 {
		fmt.Fprintf(w, "Each director decides for itself: run the same on %s, too\n", strings.Join(done.Others, ", "))
	}
}

func printDirector(w io.Writer, r status.OverrideRequest, done status.OverrideResult) {
	for _, line := range done.Done {
		fmt.Fprintln(w, line)
	}
	switch {
	case !done.Changed:
		fmt.Fprintln(w, "this director is enabled, and was")
	case r.Kind == override.Enable:
		fmt.Fprintln(w, "this director takes part in the elections as before")
	default:
		fmt.Fprintln(w, "this director takes over from no MASTER, also after a restart, until lvsctl enable --director")
	}
	if done.Unsaved != "" {
		fmt.Fprintf(w, "not saved, so that a restart of the daemon forgets it: %s\n", done.Unsaved)
	}
}

func connections(n int) string {
	switch n {
	case 0:
		return "no connection is"
	case 1:
		return "1 connection is"
	}
	return fmt.Sprintf("%d connections are", n)
}

// printOverrides lists what operators have decided.
func printOverrides(w io.Writer, all []status.Override) {
	if len(all) > 0 {
		fmt.Fprintln(w, "\nOVERRIDE\tWHAT\tBY\tSINCE\tUNTIL\tREASON")
	}
	for _, o := range all {
		until := "lvsctl enable"
		if o.File != "" {
			until = "the file is removed"
		}
		if !o.Until.IsZero() {
			until = o.Until.Local().Format(time.DateTime)
		}
		reason := o.Reason
		if o.Unused {
			reason += " (the cluster file has no such real server)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", targetOf(o), whatOf(o), o.Author, o.Since.Local().Format(time.DateTime), until, cmp.Or(reason, "-"))
	}
}

func targetOf(o status.Override) string { return cmp.Or(o.Target, "the director") }

func whatOf(o status.Override) string {
	if o.Weight != 0 {
		return fmt.Sprintf("%s %d", o.Kind, o.Weight)
	}
	return o.Kind
}

// overriddenTargets says in the line of --check what operators have decided, so that directors that differ are seen; "" if
// nothing.
func overriddenTargets(all []status.Override) string {
	text := ""
	for _, o := range all {
		text += fmt.Sprintf("; %s: %s", targetOf(o), whatOf(o))
	}
	return text
}
