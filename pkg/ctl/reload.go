package ctl

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func reload(f *flags) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "reload", Short: "make the daemon read its cluster file again", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.client().Reload(cmd.Context(), force); err != nil {
				return fmt.Errorf("reload: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					Reloaded bool `json:"reloaded"`
				}{true})
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also apply a file that removes more than half of all real servers")
	return cmd
}

func showDifference(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "diff [FILE]", Short: "show what a reload would change in the IPVS table, as ipvsadm commands (- is standard input; default: the daemon's cluster file)",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return &daemon.UsageError{Err: errors.New("want one argument at most: the cluster file")}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name, data, err := content(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			doc, err := f.client().Difference(cmd.Context(), name, data)
			if err != nil {
				return fmt.Errorf("diff: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, doc)
			}
			return printDifference(cmd.OutOrStdout(), doc)
		},
	}
}

// content reads the file that diff is about; without an argument there is none.
func content(args []string, in io.Reader) (name string, data []byte, err error) {
	switch {
	case len(args) == 0:
		return "", nil, nil
	case args[0] == stdin:
		name = "stdin"
		data, err = io.ReadAll(io.LimitReader(in, config.MaxBytes+1))
	default:
		name = args[0]
		data, err = clusterfile.Content(name)
	}
	if err != nil {
		err = &clusterfile.UnreadableError{Err: err}
	}
	return name, data, err
}

// printDifference prints commands that a shell can run; everything else is a comment.
func printDifference(w io.Writer, doc status.Difference) error {
	if len(doc.Changes)+len(doc.AfterChecks) == 0 {
		fmt.Fprintln(w, "# nothing changes in the IPVS table")
	}
	for _, c := range doc.Changes {
		fmt.Fprintln(w, c)
	}
	if len(doc.AfterChecks) > 0 {
		fmt.Fprintln(w, "# when the checks of these real servers pass:")
	}
	for _, c := range doc.AfterChecks {
		fmt.Fprintln(w, c)
	}
	if doc.NeedsForce {
		fmt.Fprintf(w, "# %d of %d real servers would go: lvsctl reload refuses that without --force\n", len(doc.Removed), doc.RealServers)
	}
	return nil
}

func zeroCounters(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "zero [SERVICE]", Short: "set the counters of a virtual server and its real servers to zero, or of all virtual servers of the director", ValidArgsFunction: f.completing(serviceNames),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &daemon.UsageError{Err: errors.New("want one argument at most: a virtual server")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			doc, err := f.client().Zero(cmd.Context(), name)
			if err != nil {
				return fmt.Errorf("zero: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, doc)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "counters set to zero: %s\n", strings.Join(doc.VirtualServers, ", "))
			return nil
		},
	}
}

func showTable(f *flags) *cobra.Command {
	foreign := false
	cmd := &cobra.Command{
		Use: "table", Short: "print the IPVS table of the director's machine; ipvsadm -R makes the same table from it", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := f.client().Table(cmd.Context(), foreign)
			if err != nil {
				return fmt.Errorf("table: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, doc)
			}
			for _, rule := range doc.Rules {
				fmt.Fprintln(cmd.OutOrStdout(), rule)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&foreign, "foreign", false, "only the virtual servers that are not the director's: those of other programs")
	return cmd
}
