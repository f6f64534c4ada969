// Package program is the command line of lvs-realserver: its verbs and flags, and what they start. It is apart from package
// main so that the man pages are made from the same commands. It decides nothing.
package program

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/ctl"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockdiag"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/realserver"
)

// Command returns the root command.
func Command() *cobra.Command {
	p := program()
	p.Role = p.Name
	return root(p)
}

func root(p daemon.Program) *cobra.Command {
	cmd := daemon.Command(p)
	cmd.AddCommand(ctl.InitStatus(p.Socket))
	return cmd
}

func program() daemon.Program {
	return daemon.Program{
		Name:   "lvs-realserver",
		Short:  "the agent on a real server: keeps the VIP and its ARP settings as the forwarding method needs them",
		Socket: "/run/lvs-director/realserver.sock",
		State:  "realserver",
		New:    newAgent,
	}
}

// service implements daemon.Service for the agent.
type service struct {
	*realserver.Agent
	stateDir string
}

// Run implements daemon.Service.
func (s service) Run(ctx context.Context) error {
	return withEffects(s.stateDir, func(e realserver.Effects) error { return s.Agent.Run(ctx, e) })
}

// Reload implements daemon.Service. No file changes so much on a real server that it needs force.
func (s service) Reload(ctx context.Context, _ bool) error { return s.Agent.Reload(ctx) }

// Status implements daemon.Service.
func (s service) Status() any { return s.Snapshot() }

// MetricsAt returns where a cluster file wants the metrics of agents.
func (s service) MetricsAt(cfg *config.Config) netip.AddrPort { return cfg.Metrics.AgentListen }

// APIAt returns where a cluster file wants agents to answer other machines.
func (s service) APIAt(cfg *config.Config) netip.AddrPort { return cfg.API.AgentListen }

// Record implements daemon.Service.
func (s service) Record(string) (string, error) {
	return "", errors.New("a real server does not run VRRP: ask a director (of this machine: --socket /run/lvs-director/director.sock)")
}

func newAgent(e daemon.Environment) (daemon.Service, error) {
	if _, err := e.Config.RealServersNamed(e.Node...); err != nil {
		return nil, errors.Join(err, withdraw(e.StateDir, e.Log))
	}
	agent := realserver.New(realserver.Options{
		Config: e.Config, Load: e.Load, Names: e.Node, Version: e.Version, Started: e.Started, Log: e.Log,
		Record: e.Record, Problems: e.Problems,
	})
	return service{agent, e.StateDir}, nil
}

// withdraw is for a node that is no longer a real server: a VIP that an earlier run left here would continue to answer.
func withdraw(stateDir string, log *slog.Logger) error {
	if _, err := os.Stat(stateDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := withEffects(stateDir, func(e realserver.Effects) error { return realserver.Withdraw(e, log) })
	if errors.Is(err, statefile.ErrLocked) { // an agent is running and manages them
		return nil
	}
	return err
}

// withEffects runs f with the opened state directory and this machine's kernel.
func withEffects(stateDir string, f func(realserver.Effects) error) (err error) {
	l, err := statefile.Open(stateDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	handle, err := addr.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	return f(realserver.Effects{
		Addresses: handle, Sysctls: sysctl.Proc(), Watch: addr.Watch, Gateway: route.Gateway, Local: func(a netip.Addr) (bool, error) { return route.Local(a) },
		Listeners: sockdiag.Listening, Firewall: firewall.Read, StateFile: l,
	})
}
