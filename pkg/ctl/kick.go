package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockdiag"
)

// kick ends the connections of clients of a virtual server on the real server.
type kick struct {
	*flags
	file, node    string
	vips, clients []string
	perSecond     int
	dryRun        bool
	kill          killing
	list          func(local netip.AddrPort) ([]sockdiag.Connection, error)
	destroy       func([]sockdiag.Connection) (ended int, err error)
}

func cutConnections(f *flags) *cobra.Command {
	k := kick{flags: f, list: sockdiag.Connections, destroy: sockdiag.Destroy}
	cmd := &cobra.Command{
		Use: "kick SERVICE/SERVER|SERVER", Short: "on a real server, end the TCP connections that came through a VIP, and no others",
		Args: exactly(1, "one argument: a real server, which is this machine"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			k.kill.say = cmd.ErrOrStderr()
			return k.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	set := cmd.Flags()
	set.StringVar(&k.file, "config", daemon.DefaultConfig, "the cluster file")
	set.StringVar(&k.node, "node", "", "the name of this machine in the cluster file (default: its hostname)")
	set.StringSliceVar(&k.vips, "vip", nil, "only connections to these addresses (default: all VIPs of the real server)")
	set.StringSliceVar(&k.clients, "clients", nil, "only connections of these networks, such as 10.0.0.0/8")
	set.IntVar(&k.perSecond, "per-second", 0, "how many connections are ended in a second, so that not all clients connect again at once (default: all at once)")
	set.BoolVar(&k.dryRun, "dry-run", false, "only say how many connections there are")
	k.kill.addFlags(set)
	for _, name := range []string{"node", "vip", "clients", "per-second"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions) // fails only for an undefined flag
	}
	return cmd
}

// kickTarget is an address and port of a virtual server that this machine serves.
type kickTarget struct {
	name  string // mysql/mysql1
	local netip.AddrPort
}

// kicked is what became of the connections to one of them.
type kicked struct {
	Server      string         `json:"real_server"` // mysql/mysql1
	Address     netip.AddrPort `json:"address"`     // of the VIP; port 0: every port
	Connections int            `json:"connections"` // that there were
	Clients     int            `json:"clients"`     // different addresses among them
	Ended       int            `json:"ended"`       // the others had ended before
	More        int            `json:"more"`        // that did not come through the VIP and were ended because of --all-of-client
	New         int            `json:"new"`         // that have come since
}

func (k *kick) run(ctx context.Context, out io.Writer, server string) error {
	targets, networks, err := k.targets(server)
	if err != nil {
		return err
	}
	all := []kicked{}
	for _, t := range targets {
		one, endErr := k.one(ctx, t, networks)
		all = append(all, one)
		if err = endErr; err != nil {
			break
		}
	}
	if k.output != "table" {
		return errors.Join(err, writeValue(out, k.output, struct {
			DryRun  bool     `json:"dry_run"`
			Targets []kicked `json:"targets"`
		}{k.dryRun, all}))
	}
	for _, one := range all {
		fmt.Fprintln(out, one.text(k.dryRun))
	}
	return err
}

// one ends the connections to one address.
func (k *kick) one(ctx context.Context, t kickTarget, networks []netip.Prefix) (kicked, error) {
	result := kicked{Server: t.name, Address: t.local}
	found, err := k.list(t.local)
	if err != nil {
		return result, err
	}
	found = slices.DeleteFunc(found, func(c sockdiag.Connection) bool { return !within(networks, c) })
	result.Connections, result.Clients = len(found), clientsOf(found)
	if k.dryRun || len(found) == 0 {
		return result, nil
	}
	if k.kill.wanted {
		result.Ended, err = k.kill.end(ctx, found, k.list)
		result.More = max(0, result.Ended-len(found))
		result.Ended -= result.More
	} else {
		result.Ended, err = k.end(ctx, found)
	}
	if err != nil {
		return result, err
	}
	old := map[sockdiag.Connection]bool{}
	for _, c := range found {
		old[c] = true
	}
	now, err := k.list(t.local)
	for _, c := range now {
		if !old[c] && within(networks, c) {
			result.New++
		}
	}
	return result, err
}

// pace is how often connections are ended with --per-second.
const pace = 100 * time.Millisecond

// end ends connections by the kernel.
func (k *kick) end(ctx context.Context, found []sockdiag.Connection) (ended int, err error) {
	each := len(found)
	if k.perSecond > 0 {
		each = max(1, k.perSecond/int(time.Second/pace))
	}
	wait := pace
	if k.perSecond > 0 && k.perSecond < int(time.Second/pace) {
		wait = time.Second / time.Duration(k.perSecond)
	}
	for {
		some := found[:min(each, len(found))]
		found = found[len(some):]
		n, err := k.destroy(some)
		ended += n
		if errors.Is(err, sockdiag.ErrNoDestroy) {
			err = fmt.Errorf("%w: --kill has the MySQL server of this machine end them", err)
		}
		if err != nil || len(found) == 0 {
			return ended, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ended, ctx.Err()
		}
	}
}

// within reports whether the client is in one of the networks; none: every client.
func within(networks []netip.Prefix, c sockdiag.Connection) bool {
	return len(networks) == 0 || slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(c.Remote.Addr()) })
}

func clientsOf(all []sockdiag.Connection) int {
	seen := map[netip.Addr]bool{}
	for _, c := range all {
		seen[c.Remote.Addr()] = true
	}
	return len(seen)
}

func (r kicked) text(dryRun bool) string {
	text := fmt.Sprintf("%s, %s: ", r.Server, endpointText(r.Address))
	switch {
	case r.Connections == 0:
		return text + "no connections"
	case dryRun:
		return text + fmt.Sprintf("%s of %s", count(r.Connections, "connection"), count(r.Clients, "client"))
	}
	text += fmt.Sprintf("%d of %s of %s ended", r.Ended, count(r.Connections, "connection"), count(r.Clients, "client"))
	if r.More > 0 {
		text += fmt.Sprintf(", and %d more of the same", r.More)
	}
	if r.New > 0 {
		text += fmt.Sprintf("; %s since: the directors still send clients here, which lvsctl drain %s on each of them changes", count(r.New, "new connection"), r.Server)
	}
	return text
}

func endpointText(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// targets checks the arguments and reads the cluster file.
func (k *kick) targets(server string) ([]kickTarget, []netip.Prefix, error) {
	usage := func(err error) ([]kickTarget, []netip.Prefix, error) { return nil, nil, &daemon.UsageError{Err: err} }
	if k.perSecond < 0 {
		return usage(fmt.Errorf("--per-second %d: must be 1 or more", k.perSecond))
	}
	if err := k.kill.validate(); err != nil {
		return usage(err)
	}
	networks, err := parseNetworks(k.clients)
	if err != nil {
		return usage(err)
	}
	var only []netip.Addr
	for _, text := range k.vips {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return usage(fmt.Errorf("--vip %s: want an address such as 10.77.0.100", text))
		}
		only = append(only, a)
	}
	file, err := clusterfile.Read(k.file)
	if err != nil {
		return nil, nil, err
	}
	names := daemon.Names(k.node)
	members, err := file.Config.RealServersNamed(names...)
	if err != nil {
		return usage(fmt.Errorf("kick runs on the real server whose connections it ends: %w", err))
	}
	targets, err := kickTargets(members, server, only)
	if err != nil {
		return usage(err)
	}
	return targets, networks, nil
}

// kickTargets returns what a real server serves through VIPs; only limits the VIPs, if it is not empty.
func kickTargets(members []config.Membership, server string, only []netip.Addr) ([]kickTarget, error) {
	var all []kickTarget
	var here, refused []string
	for _, m := range members {
		name := m.VirtualServer.Name + "/" + m.RealServer.Name
		here = append(here, name)
		if server != name && server != m.RealServer.Name && server != m.RealServer.Address.String() {
			continue
		}
		for v := range m.VirtualServer.Endpoints() {
			switch {
			case v.Protocol != "" && v.Protocol != "tcp":
				refused = append(refused, name+" has no TCP connections")
			case !v.Address.IsValid():
				refused = append(refused, name+": the VIPs of a virtual server whose packets other rules mark are not in the file")
			case v.ForwardTo(m.RealServer) == config.NAT:
				refused = append(refused, name+" has forward: nat: this machine cannot tell which connections came through the VIP; lvsctl disable "+name+" on the directors cuts them")
			case len(only) == 0 || slices.Contains(only, v.Address):
				all = append(all, kickTarget{name, netip.AddrPortFrom(v.Address, v.Port)})
			default:
				refused = append(refused, name+" has no such VIP")
			}
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(refused) > 0:
		return nil, errors.New(strings.Join(slices.Compact(refused), "; "))
	}
	return nil, fmt.Errorf("%s is not this machine, which is %s: run lvsctl kick on the real server itself", server, strings.Join(here, ", "))
}
