package ctl

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/priority"
)

// stdin is the argument for which a cluster file is read from standard input, and its name in problems.
const stdin = "-"

func check(f *flags) *cobra.Command {
	var strict, host, explain bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "validate a cluster file, offline (- is standard input; default " + daemon.DefaultConfig + ")",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return &daemon.UsageError{Err: errors.New("want one argument at most: the cluster file")}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path := daemon.DefaultConfig
			if len(args) > 0 {
				path = args[0]
			}
			r, err := examine(path, cmd.InOrStdin(), host)
			if r.config != nil && explain {
				r.Priorities = priority.Explain(r.config)
			}
			if err == nil && strict && r.warned() {
				err = &daemon.UsageError{Err: fmt.Errorf("%s has warnings, which --strict forbids", path)}
			}
			r.Valid = err == nil
			if f.output == "table" {
				r.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
				return err
			}
			if r.ExitCode = exitOf(err); r.Problems == nil && err != nil { // there is no file to speak of
				return err
			}
			if err := writeValue(cmd.OutOrStdout(), f.output, r); err != nil {
				return err
			}
			if r.ExitCode != 0 {
				return &daemon.PrintedError{Code: r.ExitCode} // the document says why
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	cmd.Flags().BoolVar(&explain, "explain", false, "print who is MASTER for each result of the tracks")
	cmd.Flags().BoolVar(&host, "host", false, "measure for 2 s whether this machine can keep the file's advert intervals (with the unit's priority: nice -n -20 lvsctl check --host FILE), and compare the virtual addresses with its networks, and stop_timeout with the unit")
	return cmd
}

func exitOf(err error) int {
	if err == nil {
		return 0
	}
	return daemon.ExitCode(err)
}

// report is the document of check.
type report struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	ExitCode int       `json:"exit_code"`
	Summary  string    `json:"summary,omitempty"`
	Problems []located `json:"problems"`
	// Tunnels say how large the packets of clients may be.
	Tunnels []string `json:"tunnels,omitempty"`
	// Host is the measurement of this machine, if it was requested.
	Host *fitness `json:"host,omitempty"`
	// Priorities are the tables of the instances, if they were requested.
	Priorities []priority.Table `json:"priorities,omitempty"`

	config *config.Config
}

// located is a problem of a cluster file.
type located struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Warning bool   `json:"warning"`

	text string
}

type fitness struct {
	Fit  bool   `json:"fit"`
	Text string `json:"text"`
	// Warnings are about this machine's networks and unit.
	Warnings []string `json:"warnings,omitempty"`
}

// examine validates a file and, if host is set, measures this machine.
func examine(path string, in io.Reader, host bool) (report, error) {
	r := report{File: path}
	file, err := read(path, in)
	if err == nil || errors.As(err, new(*clusterfile.InvalidError)) {
		r.Problems = []located{}
	}
	for _, p := range file.Problems {
		r.Problems = append(r.Problems, located{p.Line, p.Column, p.Path, p.Message, p.Hint, p.Warning, p.String()})
	}
	if err != nil {
		return r, err
	}
	r.Problems = append(r.Problems, tryCommands(path, file.Config, new(command.Runner).Try)...)
	r.Summary, r.config, r.Tunnels = file.Config.Summary(), file.Config, tunnels(file.Config)
	if host {
		fit, line := evaluateHost(file.Config, measureHost)
		r.Host = &fitness{fit, line, outsideNetworks(file.Config, localPrefixes())}
		if text := shortStop(file.Config, stopTimeoutOf); text != "" {
			r.Host.Warnings = append(r.Host.Warnings, text)
		}
	}
	return r, nil
}

// read reads a cluster file, or standard input, with the same limit of the size.
func read(path string, in io.Reader) (clusterfile.File, error) {
	if path != stdin {
		return clusterfile.Read(path)
	}
	data, err := io.ReadAll(io.LimitReader(in, config.MaxBytes+1))
	if err != nil {
		return clusterfile.File{}, &clusterfile.UnreadableError{Err: err}
	}
	return clusterfile.Validate("stdin", data)
}

func (r report) warned() bool {
	for _, p := range r.Problems {
		if p.Warning {
			return true
		}
	}
	return r.Host != nil && (!r.Host.Fit || len(r.Host.Warnings) > 0)
}

// print prints the warnings, the measurement and the summary; the errors are those of the command.
func (r report) print(stdout, stderr io.Writer) {
	for _, p := range r.Problems {
		if p.Warning {
			fmt.Fprintln(stderr, p.text)
		}
	}
	switch {
	case r.Host == nil:
	case r.Host.Fit:
		fmt.Fprintln(stdout, r.Host.Text)
	default:
		fmt.Fprintf(stderr, "%s: warning: %s\n", r.File, r.Host.Text)
	}
	if r.Host != nil {
		for _, text := range r.Host.Warnings {
			fmt.Fprintf(stderr, "%s: warning: %s\n", r.File, text)
		}
	}
	if r.Valid {
		fmt.Fprintln(stdout, r.Summary)
		for _, line := range r.Tunnels {
			fmt.Fprintln(stdout, line)
		}
	}
	for _, t := range r.Priorities {
		fmt.Fprintf(stdout, "\n%s", t)
	}
}
