package ctl

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// virtualRouters is the command for VRRP instances.
func virtualRouters(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "vrrp", Short: "the VRRP instances of a director", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &daemon.UsageError{Err: fmt.Errorf("want a verb: lvsctl vrrp record [INSTANCE]")}
		},
	}
	cmd.AddCommand(record(f))
	return cmd
}

func record(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "record [INSTANCE]", Short: "print the last events of an instance, or of all, with their results, as a trace that a test can replay",
		ValidArgsFunction: f.completing(instanceNames),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return &daemon.UsageError{Err: fmt.Errorf("want one argument at most: the name of an instance")}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			instance := ""
			if len(args) > 0 {
				instance = args[0]
			}
			text, err := f.client().Record(cmd.Context(), instance)
			if err != nil {
				return fmt.Errorf("vrrp record: %w", err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					Instance string `json:"instance"`
					Record   string `json:"record"`
				}{instance, string(text)})
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
