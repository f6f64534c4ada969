package ctl

import (
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
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &daemon.UsageError{Err: err} })
	root.AddCommand(check(), showSchema(&f), showStatus(&f), showEvents(&f), reload(&f), virtualRouters(&f), showVersion())
	return root
}

// Main runs the command and returns the exit code: that of package daemon, or that of a monitoring plugin for status
// --check.
func Main(ctx context.Context, root *cobra.Command) int {
	cmd, err := root.ExecuteContextC(ctx)
	var plugin *PluginError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &plugin): // its line has been printed
		return plugin.Code
	case isPlugin(cmd): // wrong usage: to a monitoring system, 1 and 2 are states of the daemon
		daemon.Complain(root, err)
		return pluginUnknown
	default:
		return daemon.Complain(root, err)
	}
}

func (f *flags) validate() error {
	switch {
	case !slices.Contains([]string{"table", "json", "yaml"}, f.output):
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

func check() *cobra.Command {
	var strict, host bool
	cmd := &cobra.Command{
		Use: "check FILE", Short: "validate a cluster file, offline", Args: exactly(1, "one argument: the cluster file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := clusterfile.Read(args[0])
			warned := false
			for _, p := range file.Problems {
				if p.Warning {
					warned = true
					fmt.Fprintln(cmd.ErrOrStderr(), p.String())
				}
			}
			if err != nil {
				return err
			}
			if host {
				fit, line := evaluateHost(file.Config, measureHost)
				if warned = warned || !fit; !fit {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", args[0], line)
				} else {
					fmt.Fprintln(cmd.OutOrStdout(), line)
				}
			}
			if warned && strict {
				return &daemon.UsageError{Err: fmt.Errorf("%s has warnings, which --strict forbids", args[0])}
			}
			fmt.Fprintln(cmd.OutOrStdout(), file.Config.Summary())
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	cmd.Flags().BoolVar(&host, "host", false, "measure for 2 s whether this machine can keep the file's advert intervals (with the unit's priority: nice -n -20 lvsctl check --host FILE)")
	return cmd
}

func showSchema(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "print the JSON Schema of a cluster file, for editors", Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := "json"
			if f.output == "yaml" {
				format = "yaml"
			}
			return write(cmd.OutOrStdout(), format, config.JSONSchema())
		},
	}
}

func reload(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "make the daemon read its cluster file again", Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.client().Reload(cmd.Context()); err != nil {
				return fmt.Errorf("reload: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
}

func showVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: exactly(0, "no arguments"),
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version.String()) },
	}
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
