// Package program is the command line of lvs-director: its verbs and flags, and what they start. It is apart from package
// main so that the man pages are made from the same commands. It decides nothing.
package program

import (
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/director"
	"github.com/lvs-director/lvs-director/pkg/host"
	"github.com/lvs-director/lvs-director/pkg/kernel/rolelock"
)

// role is the role of which one runs in a network namespace: run and cleanup hold its lock.
const role = "lvs-director"

// Command returns the root command.
func Command() *cobra.Command {
	p := program()
	p.Role = role
	root := daemon.Command(p)
	root.AddCommand(daemon.Verb("cleanup", "remove what a crashed daemon left behind: VIPs, routes, virtual servers, sysctls", cleanup))
	return root
}

func program() daemon.Program {
	var takeOver bool
	return daemon.Program{
		Name:   role,
		Short:  "the director: elects by VRRP who holds the VIPs, balances with IPVS, checks the real servers",
		Socket: "/run/lvs-director/director.sock",
		Flags: func(set *pflag.FlagSet) {
			set.BoolVar(&takeOver, "take-over", false, "start even if keepalived runs here and holds one of the VIPs")
		},
		New: func(e daemon.Environment) (daemon.Service, error) { return newDirector(e, takeOver) },
		Judge: func(before, cfg *config.Config, names []string) error {
			return director.Judge(host.Host{}, before, cfg, names...)
		},
	}
}

// service implements daemon.Service for the director.
type service struct{ *director.Director }

// Status implements daemon.Service.
func (s service) Status() any { return s.Director.Status() }

// MetricsAt returns where a cluster file wants the metrics of directors.
func (s service) MetricsAt(cfg *config.Config) netip.AddrPort { return cfg.Metrics.Listen }

// APIAt returns where a cluster file wants directors to answer other machines.
func (s service) APIAt(cfg *config.Config) netip.AddrPort { return cfg.API.Listen }

func newDirector(e daemon.Environment, takeOver bool) (daemon.Service, error) {
	node, err := e.Config.DirectorNamed(e.Node...)
	if err != nil {
		return nil, err
	}
	return service{director.New(director.Options{
		Config: e.Config, Load: e.Load, Node: node, StateDir: e.StateDir, Version: e.Version, Log: e.Log,
		Kernel: host.Host{Commands: new(command.Runner)}, Started: e.Started, Record: e.Record, Problems: e.Problems, Hurry: e.Hurry, TakeOver: takeOver,
	})}, nil
}

// cleanup is for ExecStopPost= and for administrators. It removes VIPs even if the cluster file cannot be used or no
// longer names this machine.
func cleanup(flags *pflag.FlagSet) func(daemon.Environment) error {
	addresses := flags.Bool("addresses", false, "only the VIPs, routes and rules: the IPVS table stays, for adoption by the next start")
	return func(e daemon.Environment) error {
		lock, err := rolelock.Acquire(role) // whatever its state directory, a running director would lose its VIPs
		if err != nil {
			return err
		}
		defer lock.Close()
		if e.Config == nil {
			e.Config = &config.Config{}
		}
		node, err := e.Config.DirectorNamed(e.Node...)
		if err != nil && len(e.Config.Directors) > 0 {
			e.Log.Warn("this machine is not a director of the cluster file; using only the state directory", "error", err)
			e.Config = &config.Config{}
		}
		return director.Cleanup(director.Options{Config: e.Config, Node: node, StateDir: e.StateDir, Kernel: host.Host{}, Log: e.Log}, *addresses)
	}
}
