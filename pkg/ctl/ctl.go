package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/version"
)

type flags struct {
	socket, output string
	timeout        time.Duration
}

// Command returns lvsctl.
func Command() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use: "lvsctl", Short: "shows and controls lvs-director and lvs-realserver", Version: version.String(),
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return f.validate() },
	}
	root.PersistentFlags().StringVar(&f.socket, "socket", "", "the daemon's socket (default: the director's, else the agent's, of this machine)")
	root.PersistentFlags().DurationVar(&f.timeout, "timeout", api.DefaultTimeout, "how long to wait for a daemon that does not answer")
	root.PersistentFlags().StringVarP(&f.output, "output", "o", "table", "table, json or yaml")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp)) // fails only for an undefined flag
	_ = root.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &daemon.UsageError{Err: err} })
	root.AddCommand(check(&f), showSchema(&f), showStatus(&f), live(&f), ready(&f), showEvents(&f), reload(&f), showDifference(&f), showTable(&f), zeroCounters(&f), explainServer(&f), probeServer(&f), failOver(&f), printFirewall(&f), makeBundle(&f), diagnose(&f), drainServer(&f), disableServer(&f), weighServer(&f), enableServer(&f), cutConnections(&f), virtualRouters(&f), importFiles(), showVersion(&f))
	return root
}

// Main runs the command with arguments and returns the exit code: that of package daemon, or that of a monitoring plugin for status
// --check.
func Main(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	cmd, err := root, earlyTimeout(args)
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	var printed *daemon.PrintedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &printed):
		return printed.Code
	case isPlugin(cmd): // wrong usage: to a monitoring system, 1 and 2 are states of the daemon
		complain(root, err, formatOf(args), pluginUnknown)
		return pluginUnknown
	default:
		code := daemon.ExitCode(err)
		complain(root, err, formatOf(args), code)
		return code
	}
}

// complain prints an error to stderr.
func complain(root *cobra.Command, err error, format string, code int) {
	if format == "table" || !slices.Contains(formats(), format) {
		daemon.Complain(root, err)
		return
	}
	if writeValue(root.ErrOrStderr(), format, failure{daemon.Message(root, err), code}) != nil {
		daemon.Complain(root, err)
	}
}

// formatOf returns the value of -o in arguments that may not be valid otherwise; "" if there is none.
func formatOf(args []string) string {
	for n, arg := range args {
		value, long := strings.CutPrefix(arg, "--output")
		if !long {
			value, long = strings.CutPrefix(arg, "-o")
		}
		switch {
		case !long:
		case value != "":
			return strings.TrimPrefix(value, "=")
		case n+1 < len(args):
			return args[n+1]
		}
	}
	return ""
}

// failure is the document of an error.
type failure struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}

// formats are the values of -o.
func formats() []string { return []string{"table", "json", "yaml"} }

func (f *flags) validate() error {
	switch {
	case !slices.Contains(formats(), f.output):
		return &daemon.UsageError{Err: fmt.Errorf("-o %s: must be table, json or yaml", f.output)}
	case f.timeout <= 0:
		return &daemon.UsageError{Err: fmt.Errorf("--timeout %s: must be more than 0", f.timeout)}
	default:
		return nil
	}
}

// exactly is cobra.ExactArgs with the exit code for wrong usage.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &daemon.UsageError{Err: fmt.Errorf("want %s", what)}
	}
}

func showSchema(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "print the JSON Schema of a cluster file, for editors", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := "json"
			if f.output == "yaml" {
				format = "yaml"
			}
			return write(cmd.OutOrStdout(), format, config.JSONSchema())
		},
	}
}

func showVersion(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					Version string `json:"version"`
				}{version.String()})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	}
}

// writeValue prints a value as a JSON or YAML document.
func writeValue(w io.Writer, format string, v any) error {
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	return write(w, format, document.Bytes())
}

// write prints a JSON document in the requested format.
func write(w io.Writer, format string, document []byte) error {
	if format == "json" {
		_, err := fmt.Fprintln(w, strings.TrimSpace(string(document)))
		return err
	}
	// A yaml.Node preserves the order of the keys, and JSON is valid YAML.
	var node yaml.Node
	if err := yaml.Unmarshal(document, &node); err != nil {
		return err
	}
	plain(&node)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	defer encoder.Close()
	return encoder.Encode(&node)
}

// plain removes the JSON style (braces and quotes).
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// role returns the role in a status document.
func role(document []byte) (string, error) {
	var head struct {
		Role string `json:"role"`
	}
	err := json.Unmarshal(document, &head)
	return head.Role, err
}
