package ctl

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/hostrules"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// forms are the values of --for.
func forms() []string { return []string{"nft", "iptables", "ip6tables"} }

func printFirewall(f *flags) *cobra.Command {
	var node, form string
	var clients []string
	cmd := &cobra.Command{
		Use: "firewall FILE", Short: "print the packet filter rules that a machine of the cluster file needs (- is standard input); nothing is changed",
		Args: exactly(1, "one argument: the cluster file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(forms(), form) {
				return &daemon.UsageError{Err: fmt.Errorf("--for %s: must be nft, iptables or ip6tables", form)}
			}
			networks, err := parseNetworks(clients)
			if err != nil {
				return &daemon.UsageError{Err: err}
			}
			file, err := read(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			o := hostrules.Options{Clients: networks}
			if runsHere(file.Config, node) {
				o.Networks = networksOf
			}
			rules, err := hostrules.Of(file.Config, daemon.Names(node), o)
			if err != nil {
				return &daemon.UsageError{Err: err}
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					Rules []hostrules.Rule `json:"rules"`
				}{rules})
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), firewallText(form, args[0], rules))
			return err
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "the machine whose rules to print (default: this one, by its hostname)")
	cmd.Flags().StringVar(&form, "for", "nft", "what reads them: nft (nft -f), iptables or ip6tables (iptables-restore --noflush)")
	cmd.Flags().StringSliceVar(&clients, "clients", nil, "networks of the clients, such as 10.0.0.0/8; others of their family are refused (default: everybody is accepted)")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(forms(), cobra.ShellCompDirectiveNoFileComp)) // fails only for an undefined flag
	_ = cmd.RegisterFlagCompletionFunc("node", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("clients", cobra.NoFileCompletions)
	return cmd
}

// runsHere reports whether the rules are for this machine, whose networks then say more than the file. A director may have another
// name than its host.
func runsHere(cfg *config.Config, node string) bool {
	d, err := cfg.DirectorNamed(daemon.Names(node)...)
	return err == nil && slices.ContainsFunc(localPrefixes(), func(p netip.Prefix) bool { return p.Addr() == d.Address })
}

// networksOf returns the networks of an interface of this machine; none if there is no such interface.
func networksOf(link string) []netip.Prefix {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return nil
	}
	addresses, err := i.Addrs()
	if err != nil {
		return nil
	}
	var all []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

// parseNetworks parses addresses and prefixes. A network within another one is left out, because nft refuses sets that overlap.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Zone() != "" {
			return nil, fmt.Errorf("--clients %s: want a network such as 10.0.0.0/8", text)
		}
		p = p.Masked()
		within := func(outer netip.Prefix) bool { return outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) }
		if slices.ContainsFunc(all, within) {
			continue
		}
		all = append(slices.DeleteFunc(all, func(inner netip.Prefix) bool { return p.Bits() <= inner.Bits() && p.Contains(inner.Addr()) }), p)
	}
	return all, nil
}

// firewallText returns the file with the rules.
func firewallText(form, file string, rules []hostrules.Rule) string {
	head := []string{
		"Packet filter rules for lvs-director, from " + strings.ReplaceAll(file, "\n", " ") + ", by lvsctl firewall.",
		"VRRP needs no AH (IP protocol 51). Packets that this machine sends are not filtered here.",
	}
	switch form {
	case "nft":
		head = append(head, "Install: nft -f THIS_FILE. Remove: nft delete table inet "+hostrules.NFTable+".",
			"A chain of another table that drops these packets still does: then copy the accepting rules to its beginning.")
		return hostrules.NFT(head, rules)
	case "ip6tables":
		return hostrules.Save(append(head, restoreHead("ip6tables")...), rules, kernel.IPv6)
	default:
		return hostrules.Save(append(head, restoreHead("iptables")...), rules, kernel.IPv4)
	}
}

func restoreHead(tool string) []string {
	return []string{
		"Install: " + tool + "-restore --noflush THIS_FILE. Without --noflush it would remove all other rules.",
		"Before it is installed again: " + tool + " -D INPUT -j LVS-INPUT; " + tool + " -D FORWARD -j LVS-FORWARD",
	}
}
