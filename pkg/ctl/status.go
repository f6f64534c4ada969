package ctl

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func showStatus(f *flags) *cobra.Command {
	var plugin bool
	cmd := &cobra.Command{
		Use: "status", Short: "show all states with their reasons", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := f.client().Status(cmd.Context())
			if plugin {
				return pluginVerdict(cmd.OutOrStdout(), f.output, document, err)
			}
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if f.output != "table" {
				return write(cmd.OutOrStdout(), f.output, document)
			}
			return table(cmd.OutOrStdout(), document, time.Now())
		},
	}
	cmd.Flags().BoolVar(&plugin, "check", false, "print one line and exit 0 (ok), 1 (warning), 2 (critical) or 3 (unknown), as monitoring plugins do")
	return cmd
}

// table prints a status document as a table.
func table(w io.Writer, document []byte, now time.Time) error {
	who, err := role(document)
	if err != nil {
		return fmt.Errorf("status: the daemon's answer is not understood: %w", err)
	}
	if who == "realserver" {
		var s status.Agent
		if err := json.Unmarshal(document, &s); err != nil {
			return fmt.Errorf("status: the daemon's answer is not understood: %w", err)
		}
		return agentTable(w, s, now)
	}
	var s status.Director
	if err := json.Unmarshal(document, &s); err != nil {
		return fmt.Errorf("status: the daemon's answer is not understood: %w", err)
	}
	return directorTable(w, s, now)
}

func directorTable(w io.Writer, s status.Director, now time.Time) error {
	fmt.Fprintf(w, "%s: director, version %s, config %s\n", s.Node, s.Version, short(s.ConfigDigest))
	problems(w, s.Head, now)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Instances) > 0 {
		fmt.Fprintln(t, "\nVRRP INSTANCE\tSTATE\tFOR\tPRIORITY\tVRID\tINTERFACE\tVIPS\tREASON")
	}
	for _, i := range s.Instances {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", i.Name, i.State, age(i.Since, now), priorityOf(i),
			i.VirtualRouterID, interfaceOf(i), strings.Join(slices.Concat(i.VirtualAddresses, i.ExcludedAddresses), ","), i.Reason+handedOver(i))
	}
	outside(t, s.Instances)
	if len(s.SyncGroups) > 0 {
		fmt.Fprintln(t, "\nSYNC GROUP\tSTATE\tINSTANCES\tHELD BACK BY\tREASON")
	}
	for _, g := range s.SyncGroups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", g.Name, g.State, strings.Join(g.Instances, ","), cmp.Or(strings.Join(g.HeldBackBy, ","), "-"), g.Reason)
	}
	if len(s.Tracks) > 0 {
		fmt.Fprintln(t, "\nTRACK\tSTATE\tFOR\tINSTANCES\tCODE\tREASON")
	}
	for _, k := range s.Tracks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Name, k.State, age(k.Since, now), effects(s.Instances, k.Name), k.Code, k.Reason)
	}
	if len(s.BFDSessions) > 0 {
		fmt.Fprintln(t, "\nBFD SESSION\tADDRESS\tINTERFACE\tSTATE\tFOR\tINSTANCES\tREASON")
	}
	for _, b := range s.BFDSessions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", b.Name, b.Address, b.Interface, b.State, age(b.Since, now), cmp.Or(effects(s.Instances, b.Name), strings.Join(b.Instances, ",")), b.Reason)
	}
	printOverrides(t, s.Overrides)
	takeOvers(t, s.Instances, now)
	printConnectionSync(t, s.ConnectionSync, now)
	for _, v := range s.VirtualServers {
		fmt.Fprintf(t, "\nVIRTUAL SERVER %s  %s %s  %s %s  %s: %s\n", v.Name, v.Protocol, endpoints(v), strings.TrimSpace(v.Scheduler+" "+v.Assignment),
			v.Forward, v.State, v.Reason)
		fmt.Fprintln(t, "  REAL SERVER\tADDRESS\tSTATE\tFOR\tCODE\tWEIGHT\tACTIVE\tINACTIVE\tNEW/S\tIN/S\tOUT/S\tREASON")
		for _, r := range v.RealServers {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.Name+roleOf(r), endpoint(r.Address, r.Port)+method(v, r), r.State, age(r.Since, now), r.Code,
				weight(r), r.ActiveConnections, r.InactiveConnections, rates(r.Traffic), r.Reason)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printKernel(w, s.Kernel)
	return nil
}

// roleOf follows the name of a real server that is no regular one.
func roleOf(r status.RealServer) string {
	if r.Role == "" {
		return ""
	}
	return " (" + r.Role + ")"
}

// outside says which virtual addresses are in no network of the machine.
func outside(t io.Writer, instances []status.Instance) {
	for _, i := range instances {
		if len(i.OutsideNetworks) > 0 {
			fmt.Fprintf(t, "%s: in no network of this machine, so that others need a route: %s\n", i.Name, strings.Join(i.OutsideNetworks, ", "))
		}
	}
}

// takeOvers lists the take-over records of the instances.
func takeOvers(t io.Writer, instances []status.Instance, now time.Time) {
	titled := false
	for _, i := range instances {
		r := i.TakeOver
		if r == nil {
			continue
		}
		if !titled {
			fmt.Fprintln(t, "\nTAKE-OVER RECORD\tAGE\tDATABASE\tREAD\tPOSITIONS")
			titled = true
		}
		text := r.Error
		if r.Positions != nil {
			text = r.Positions.Summary()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", i.Name, age(r.Time, now), r.Server, r.Read, text)
	}
}

// priorityOf returns the priority in the elections, and that of the cluster file if it differs.
func priorityOf(i status.Instance) string {
	if i.EffectivePriority == i.Priority {
		return fmt.Sprint(i.Priority)
	}
	return fmt.Sprintf("%d of %d", i.EffectivePriority, i.Priority)
}

// effects says what a track does to each instance that depends on it: "mysql FAULT,web -20".
func effects(instances []status.Instance, track string) string {
	var all []string
	for _, i := range instances {
		for _, t := range i.Tracks {
			if t.Name != track {
				continue
			}
			text := i.Name
			switch {
			case t.Effect == status.EffectFault:
				text += " FAULT"
			case t.Effect == status.EffectNotMaster:
				text += " not MASTER"
			case t.Weight != 0:
				text += fmt.Sprintf(" %+d", t.Points)
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, ",")
}

// endpoint is "10.77.0.100:3306" or "[fd00::100]:3306".
func endpoint(address string, port int) string {
	if port == 0 {
		return address
	}
	return net.JoinHostPort(address, strconv.Itoa(port))
}

// method is the forwarding method of a real server if it is another one than the virtual server's, or has a tunnel that says
// more.
func method(v status.VirtualServer, r status.RealServer) string {
	switch {
	case r.Tunnel != "" && r.Tunnel != "ipip":
		return " " + r.Tunnel
	case r.Forward != "" && r.Forward != v.Forward:
		return " " + r.Forward
	}
	return ""
}

// weight returns the weight in the kernel, and the configured weight if it differs.
func weight(r status.RealServer) string {
	if r.Weight == r.ConfiguredWeight {
		return fmt.Sprint(r.Weight)
	}
	return fmt.Sprintf("%d of %d", r.Weight, r.ConfiguredWeight)
}

func agentTable(w io.Writer, s status.Agent, now time.Time) error {
	fmt.Fprintf(w, "%s: real server, version %s, config %s\n", s.Node, s.Version, short(s.ConfigDigest))
	problems(w, s.Head, now)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nVIRTUAL SERVER\tADDRESS\tFORWARD\tSTATE\tREASON")
	for _, v := range s.VirtualServers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.Name, endpoint(v.Address, v.Port), v.Forward, v.State, v.Reason)
	}
	fmt.Fprintln(t, "\nKEPT\tWANTED\tFOUND\tREPAIRS\tPROBLEM")
	for _, all := range [][]status.Kept{s.Addresses, s.Sysctls} {
		for _, k := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", k.Name, k.Want, k.Have, k.Repairs, k.Problem)
		}
	}
	return t.Flush()
}

// problems prints each problem with its remedy. A daemon of a version without problem codes has only the texts.
func problems(w io.Writer, s status.Head, now time.Time) {
	for _, p := range s.ProblemDetails { // no full stop at the end: many remedies end with a command, which is copied
		fmt.Fprintf(w, "PROBLEM: %s\n  %s %s for %s. To do: %s\n", p.Text, p.Severity, p.Code, age(p.Since, now), p.Remedy)
	}
	if s.ProblemDetails == nil {
		for _, text := range s.Problems {
			fmt.Fprintln(w, "PROBLEM:", text)
		}
	}
}

func short(digest string) string {
	if len(digest) > len("sha256:")+12 {
		return digest[:len("sha256:")+12]
	}
	return digest
}

// age is the time since a state change, "-" if unknown.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	d := max(now.Sub(since), 0)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// pluginUnknown is the exit code of a monitoring plugin that could not find out the state.
const pluginUnknown = 3

// isPlugin reports whether a command has the exit codes of a monitoring plugin.
func isPlugin(cmd *cobra.Command) bool {
	flag := cmd.Flag("check")
	return cmd.Name() == "doctor" || flag != nil && flag.Changed
}

// verdict is the document of --check.
type verdict struct {
	State    string            `json:"state"` // OK, WARNING, CRITICAL or UNKNOWN
	ExitCode int               `json:"exit_code"`
	Text     string            `json:"text"`
	Problems []problem.Problem `json:"problems"`
}

// pluginVerdict prints one line, or the document of -o, and returns the exit code as an error, nil for OK.
func pluginVerdict(w io.Writer, format string, document []byte, err error) error {
	v := verdict{ExitCode: pluginUnknown}
	if err != nil {
		v.Text = err.Error()
	} else {
		v.ExitCode, v.Text, v.Problems = evaluate(document)
	}
	v.State = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[v.ExitCode]
	if format == "table" {
		fmt.Fprintf(w, "%s: %s\n", v.State, v.Text)
	} else if err := writeValue(w, format, v); err != nil {
		return err
	}
	if v.ExitCode == 0 {
		return nil
	}
	return &daemon.PrintedError{Code: v.ExitCode}
}

// evaluate returns the exit code and line for a status document, based only on the severities of its problems, and the
// problems.
func evaluate(document []byte) (code int, line string, problems []problem.Problem) {
	var s struct {
		status.Head
		Instances      []status.Instance `json:"vrrp_instances"`
		VirtualServers []struct {
			ChecksSuspended bool `json:"checks_suspended"`
		} `json:"virtual_servers"`
		Overrides []status.Override `json:"overrides"`
	}
	switch err := json.Unmarshal(document, &s); {
	case err != nil:
		return 3, "the daemon's answer is not understood: " + err.Error(), nil
	case s.ProblemDetails == nil:
		return 3, fmt.Sprintf("%s: the daemon is of an older version than lvsctl and reports no severities: restart it", s.Node), nil
	}
	var found []string
	for _, p := range s.ProblemDetails {
		code = max(code, exitCode(p.Severity))
		found = append(found, p.Text)
	}
	switch {
	case len(found) > 0:
		return code, strings.Join(found, "; "), s.ProblemDetails
	case s.Role == "realserver":
		return 0, fmt.Sprintf("%s: ready for %s", s.Node, virtualServers(len(s.VirtualServers))), s.ProblemDetails
	default:
		suspended := 0
		for _, v := range s.VirtualServers {
			if v.ChecksSuspended {
				suspended++
			}
		}
		return 0, s.Node + ": " + inOrder(s.Instances, len(s.VirtualServers)-suspended, suspended) + overriddenTargets(s.Overrides), s.ProblemDetails
	}
}

// inOrder describes a director without problems: "mysql MASTER; 1 virtual server up".
func inOrder(instances []status.Instance, services, suspended int) string {
	var states, parts []string
	for _, i := range instances {
		states = append(states, i.Name+" "+i.State)
	}
	if len(states) > 0 {
		parts = append(parts, strings.Join(states, ", "))
	}
	if services > 0 {
		parts = append(parts, virtualServers(services)+" up")
	}
	if suspended > 0 {
		parts = append(parts, virtualServers(suspended)+" not checked (ha_suspend)")
	}
	return strings.Join(parts, "; ")
}

func virtualServers(n int) string {
	if n == 1 {
		return "1 virtual server"
	}
	return fmt.Sprintf("%d virtual servers", n)
}

// exitCode is the exit code of a monitoring plugin for a severity. An unknown severity is from a newer version and
// counts as critical.
func exitCode(s problem.Severity) int {
	if s == problem.Warning {
		return 1
	}
	return 2
}

// interfaceOf describes where the addresses of an instance are: "eth0", "vrrp.51@eth0 (00:00:5e:00:01:33)".
func interfaceOf(i status.Instance) string {
	switch {
	case i.VirtualMAC != "":
		return fmt.Sprintf("%s@%s (%s)", i.VirtualInterface, i.Interface, i.VirtualMAC)
	case i.VirtualInterface != "":
		return i.VirtualInterface + "@" + i.Interface
	}
	return i.Interface
}

// handedOver says since when an instance stays out after a handover, and how that ends; "" if it does not.
func handedOver(i status.Instance) string {
	if i.HandedOverSince == nil || i.State == "MASTER" {
		return ""
	}
	return fmt.Sprintf("; preempts nobody since %s, until `lvsctl failover %s --release`", i.HandedOverSince.Format(time.DateTime), i.Name)
}
