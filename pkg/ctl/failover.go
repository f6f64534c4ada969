package ctl

import (
	"fmt"

	"github.com/spf13/cobra"
)

func failOver(f *flags) *cobra.Command {
	release := false
	cmd := &cobra.Command{
		Use: "failover INSTANCE|GROUP", Short: "hand the virtual addresses of an instance or sync group over to another director, and stay out",
		Args: exactly(1, "one argument: the name of an instance or of a sync group"), ValidArgsFunction: f.completing(electedNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := f.client().FailOver(cmd.Context(), args[0], release)
			if err != nil {
				return fmt.Errorf("failover: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					Name     string `json:"name"`
					Released bool   `json:"released"`
					Result   string `json:"result"`
				}{args[0], release, done})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		},
	}
	cmd.Flags().BoolVar(&release, "release", false, "end what an earlier failover has left: the director preempts again")
	return cmd
}
