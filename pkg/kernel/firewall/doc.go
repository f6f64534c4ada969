// Package firewall reads the packet filter rules of this host and judges whether they let a packet pass that is forwarded,
// received or sent, and whether they redirect it. It reads with the tools of the host (iptables-save and nft), because only
// they know all extensions, and judges with three results: the rules let it pass, they do not, or they cannot be judged from
// the text.
//
// It changes no rule, and does not load a kernel module: where the kernel has no rules, no tool is started. It leaves out the
// tables of this daemon (kernel.OwnTable), which let the clients of virtual servers pass. It does not see programs of eBPF
// and of tc.
package firewall
