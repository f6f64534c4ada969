package ctl

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/status"
)

const oneServer = "one argument: SERVICE/SERVER, as lvsctl status names them"

func probeServer(f *flags) *cobra.Command {
	verbose := false
	cmd := &cobra.Command{
		Use: "probe SERVICE/SERVER", Short: "make the checks of a real server once, without effect on its state; exit code 1 if one is not good",
		Args: exactly(1, oneServer), ValidArgsFunction: f.completing(serverNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := f.client().Probe(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("probe: %w", err)
			}
			if f.output != "table" {
				err = writeValue(cmd.OutOrStdout(), f.output, doc)
			} else {
				printProbes(cmd.OutOrStdout(), doc, verbose)
			}
			for _, p := range doc {
				if p.Result.Class != "good" && err == nil {
					err = &daemon.PrintedError{Code: 1}
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print what each check did, with the digests of pages")
	return cmd
}

func printProbes(w io.Writer, all []status.Probe, verbose bool) {
	for _, p := range all {
		if verbose {
			fmt.Fprintf(w, "%s\n", titled(p.Type, p.Target))
			for _, line := range p.Trace {
				fmt.Fprintf(w, "  %s\n", line)
			}
		}
		fmt.Fprintf(w, "%s: %s%s\n", p.Result.Class, p.Result.Cause, coded(p.Result))
	}
}

func explainServer(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "explain SERVICE/SERVER", Short: "say why a real server is in or out, with the last results of its checks and what decided",
		Args: exactly(1, oneServer), ValidArgsFunction: f.completing(serverNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := f.client().Explain(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("explain: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, doc)
			}
			printExplanation(cmd.OutOrStdout(), args[0], doc, time.Now())
			return nil
		},
	}
}

func printExplanation(w io.Writer, name string, e status.Explanation, now time.Time) {
	r := e.RealServer
	fmt.Fprintf(w, "%s is %s, with weight %d of %d in the table\n", name, r.State, r.Weight, r.ConfiguredWeight)
	fmt.Fprintf(w, "  %s\n", r.Reason)
	switch {
	case len(e.Checks) == 0:
		fmt.Fprintln(w, "  it has no check, and is always up")
	case e.Needed > 0:
		fmt.Fprintf(w, "  %d of these %d checks must pass:\n", e.Needed, len(e.Checks))
	case len(e.Checks) > 1:
		fmt.Fprintf(w, "  all of these %d checks must pass:\n", len(e.Checks))
	}
	for _, c := range e.Checks {
		fmt.Fprintf(w, "\n%s, every %v, timeout %v\n", titled(c.Type, c.Target), milliseconds(c.Interval), milliseconds(c.Timeout))
		fmt.Fprintf(w, "  %s\n", c.Rule)
		fmt.Fprintf(w, "  %d results: %d good, %d inconclusive, %d others\n", c.Total, c.Good, c.Inconclusive, c.Total-c.Good-c.Inconclusive)
		printKept(w, c.Kept, now)
		if c.Last == nil {
			fmt.Fprintln(w, "  no result yet")
			continue
		}
		printResult(w, "last", *c.Last, now)
		for i := len(c.Failures) - 1; i >= 0; i-- {
			printResult(w, "not good", c.Failures[i], now)
		}
	}
}

// printKept prints the state of the connection that a check keeps.
func printKept(w io.Writer, k *status.KeptConnection, now time.Time) {
	switch {
	case k == nil:
		return
	case k.Open:
		fmt.Fprintf(w, "  a connection has been kept for %s; when the server ends it, the check is made at once\n", age(*k.Since, now))
	case k.Again != nil:
		fmt.Fprintf(w, "  no connection is kept, and none is opened for %s more\n", k.Again.Sub(now).Round(time.Second))
	default:
		fmt.Fprintln(w, "  no connection is kept; one is opened after the next good check")
	}
	if k.Why != "" {
		fmt.Fprintf(w, "  why none is kept: %s\n", k.Why)
	}
	if k.Ended != nil {
		printResult(w, "ended", *k.Ended, now)
	}
}

func printResult(w io.Writer, what string, r status.CheckResult, now time.Time) {
	fmt.Fprintf(w, "  %-9s %s ago  %s%s\n", what, age(r.At, now), r.Cause, coded(r))
}

// coded is the code of a result that is not simply good.
func coded(r status.CheckResult) string {
	text := ""
	if r.Weight != nil {
		text = fmt.Sprintf(" (weight %d)", *r.Weight)
	}
	if r.Code == "ok" {
		return text
	}
	return text + " [" + r.Code + "]"
}

func titled(kind, target string) string {
	if target == "" {
		return kind
	}
	return kind + " of " + target
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
