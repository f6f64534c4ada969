package problem

// ruleCodes are the codes about a director's own rules of the packet filter.
func ruleCodes() []Declaration {
	return []Declaration{
		{
			Code: AcceptModeOff, Severity: Warning, Role: Director, Subject: "node",
			Means:  "the packet filter rules of `accept_mode: false` cannot be set or read: the virtual addresses accept packets of every kind, or rules that are no longer needed still drop them. The virtual servers are not affected; retried every second",
			Remedy: "act on the reason. The kernel has no nf_tables: modprobe nf_tables, use another kernel, or write accept_mode: true and run lvsctl reload",
		},
		{
			Code: NotMarked, Severity: Critical, Role: Director, Subject: "node",
			Means:  "the marking rules of `marking: nftables` cannot be set or read: clients of these virtual servers reach this director itself, which refuses them, or rules that are no longer needed still mark packets; retried every second",
			Remedy: "act on the reason. The kernel has no nf_tables: modprobe nf_tables, use another kernel, or write marking: none with rules of your own and run lvsctl reload",
		},
		{
			Code: SourceNotReplaced, Severity: Critical, Role: Director, Subject: "node",
			Means:  "the packet filter rules of `snat_clients` cannot be set or read: the real servers answer these clients past this director, and they get no connection, or rules that are no longer needed still replace their addresses; retried every second",
			Remedy: "act on the reason. The kernel has no nf_tables, or no module nft_masq: modprobe nft_masq, use another kernel, or remove snat_clients, route the answers of the real servers through the directors and run lvsctl reload",
		},
		{
			Code: RedirectsNotStopped, Severity: Warning, Role: Director, Subject: "node",
			Means:  "the packet filter rules that stop ICMPv6 redirects to the real servers of `forward: nat` cannot be set or read: such a server in the network of its clients answers them directly after the first redirect, and they get no connection; in another network nothing is wrong. Or rules that are no longer needed are still there; retried every second",
			Remedy: "act on the reason. The kernel has no nf_tables: modprobe nf_tables or use another kernel; until then set net.ipv6.conf.eth0.accept_redirects=0, of their interface to the director, on the real servers",
		},
	}
}
