package ctl

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// completeWithin limits how long a shell waits for names.
const completeWithin = time.Second

// completing completes the first argument of a command with names of the director's status. Without a director there are none.
func (f *flags) completing(names func(status.Director) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client := f.client()
		client.Timeout = completeWithin
		document, err := client.Status(cmd.Context())
		var s status.Director
		if err != nil || json.Unmarshal(document, &s) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all := names(s)
		slices.Sort(all)
		return slices.Compact(all), cobra.ShellCompDirectiveNoFileComp
	}
}

// serverNames are the real servers of virtual servers, "mysql/mysql1".
func serverNames(s status.Director) (all []string) {
	for _, v := range s.VirtualServers {
		for _, r := range v.RealServers {
			all = append(all, v.Name+"/"+r.Name)
		}
	}
	return all
}

// targetNames are those, and the real servers of all virtual servers, "mysql1".
func targetNames(s status.Director) []string {
	all := serverNames(s)
	for _, v := range s.VirtualServers {
		for _, r := range v.RealServers {
			all = append(all, r.Name)
		}
	}
	return all
}

func serviceNames(s status.Director) (all []string) {
	for _, v := range s.VirtualServers {
		all = append(all, v.Name)
	}
	return all
}

func instanceNames(s status.Director) (all []string) {
	for _, i := range s.Instances {
		all = append(all, i.Name)
	}
	return all
}

// electedNames are the instances and sync groups.
func electedNames(s status.Director) []string {
	all := instanceNames(s)
	for _, g := range s.SyncGroups {
		all = append(all, g.Name)
	}
	return all
}
