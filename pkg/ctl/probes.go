package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// answer is the document of live and ready.
type answer struct {
	Yes      bool   `json:"-"`
	ExitCode int    `json:"exit_code"`
	Text     string `json:"text"`
}

// print prints one line, or the document of -o, and returns the exit code as an error, nil for 0.
func (a answer) print(w io.Writer, format, yes, no string) error {
	word := yes
	if !a.Yes {
		word, a.ExitCode = no, daemon.ExitFailed
	}
	if format == "table" {
		fmt.Fprintf(w, "%s: %s\n", word, a.Text)
	} else if err := writeValue(w, format, a); err != nil {
		return err
	}
	if a.Yes {
		return nil
	}
	return &daemon.PrintedError{Code: a.ExitCode}
}

func live(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "live", Short: "exit 0 if all loops of the daemon run, whatever its peers and servers do: for a liveness probe", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loops, err := f.client().Live(cmd.Context())
			a := answer{Yes: err == nil, Text: fmt.Sprintf("all %d loops of the daemon run", loops)}
			if err != nil {
				a.Text = err.Error()
			}
			return a.print(cmd.OutOrStdout(), f.output, "live", "not live")
		},
	}
}

func ready(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "ready", Short: "exit 0 if the daemon does what its cluster file says, whatever its peers and servers do: for a readiness probe", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := f.client().Status(cmd.Context())
			return readiness(document, err).print(cmd.OutOrStdout(), f.output, "ready", "not ready")
		},
	}
}

// readiness judges a status document.
func readiness(document []byte, err error) answer {
	var head status.Head
	if err == nil {
		if err = json.Unmarshal(document, &head); err != nil {
			err = fmt.Errorf("the daemon's answer is not understood: %w", err)
		} else if head.ProblemDetails == nil {
			err = errors.New("the daemon is of an older version than lvsctl: restart it")
		}
	}
	if err != nil {
		return answer{Text: err.Error()}
	}
	var reasons []string
	declared := problem.Declared()
	for _, p := range head.ProblemDetails {
		if p.Unready || declared.Unready(p.Code) {
			reasons = append(reasons, p.Text)
		}
	}
	if reasons != nil {
		return answer{Text: strings.Join(reasons, "; ")}
	}
	return answer{Yes: true, Text: fmt.Sprintf("%s runs the cluster file %s", head.Node, short(head.ConfigDigest))}
}
