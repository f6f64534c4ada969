package problem

// filterCodes are the codes about what the packet filter of a director does with the packets of clients.
func filterCodes() []Declaration {
	return []Declaration{
		{
			Code: ClientsBlocked, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:  "this director drops the packets of clients, or sends them elsewhere: by its packet filter, or by a setting of IPVS. Clients fail while it is MASTER",
			Remedy: "run the command that lvsctl status shows: it adds the rule, or sets the sysctl. Make it permanent where these rules come from",
		},
		{
			Code: ClientsLimited, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "the packet filter of this director drops packets of clients above a rate or a number: clients fail when there are more",
			Remedy:      "if the limit is not meant for this service, run the command that lvsctl status shows: it accepts the packets before the rule that counts them. Make it permanent where these rules come from",
			ExplainedBy: []Code{ClientsBlocked},
		},
		{
			Code: EndsBlocked, Severity: Warning, Role: Director, Subject: "virtual server",
			Means: "the packet filter of this director drops the packets with FIN or RST with which clients end their connections: connection tracking calls them invalid, because IPVS takes the packets before it remembers a connection. " +
				"Real servers keep connections of clients that are gone, up to their limit, and a client that uses a port again gets no answer",
			Remedy:      "run the command that lvsctl status shows: it accepts the packets of clients before the rule that drops invalid ones, or exempts them from connection tracking. Make it permanent where these rules come from",
			ExplainedBy: []Code{ClientsBlocked, ClientsLimited, ClientsUnclear},
		},
		{
			Code: ClientsUnclear, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "it is not known whether this director drops the packets of clients: its packet filter has rules that cannot be judged, or cannot be read",
			Remedy:      "try it from a client with the command that lvsctl status shows. If it works, add a rule before the one shown that accepts the packets by the VIP and port. If the rules cannot be read, install nftables or iptables",
			ExplainedBy: []Code{ClientsBlocked},
		},
	}
}

// markCodes are the codes about firewall marks and VIPs, and about what a director does with the packets of real servers.
func markCodes() []Declaration {
	return []Declaration{
		{
			Code: MarkNotSet, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:  "no packet filter rule of this host gives packets the firewall mark of a virtual server with `marking: none`: its clients reach this director itself. Marks of tc, of eBPF and of nf_tables rules of the family bridge are not seen",
			Remedy: "add the rule on every director, in the hook prerouting or input, and keep it over a reboot, or write marking: nftables and packets, and run lvsctl reload",
		},
		{
			Code: MarkUnclear, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "it is not known whether packets get the firewall mark of a virtual server with `marking: none`: the rules cannot be read, or set a mark that is not in their text, such as a restored or masked one",
			Remedy:      "try it from a client, and look whether ipvsadm -Ln --stats counts its connections. To have it known, set the whole mark in a rule, or write marking: nftables and packets. If the rules cannot be read, install nftables or iptables",
			ExplainedBy: []Code{MarkNotSet},
		},
		{
			Code: VIPNotReached, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "clients do not reach its VIPs on this director because of a setting of the kernel: ARP requests get no answer, or packets for a VIP are not delivered",
			Remedy: "run the command that lvsctl status shows: it sets the sysctl, or shows the policy rule or the missing route. Delete the rule; the route comes back when the VIP is added again, after ip addr del of the VIP",
		},
		{
			Code: AnswersBlocked, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:  "this director drops the answers of real servers with forward: nat: by its packet filter, or because it does not forward packets. Clients get no answer while it is MASTER",
			Remedy: "run the command that lvsctl status shows: it adds the rule, or sets the sysctl. Make it permanent where these rules come from",
		},
		{
			Code: AnswersLimited, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "this director drops answers of real servers with forward: nat above a rate or a number: clients fail when there are more",
			Remedy:      "if the limit is not meant for this service, run the command that lvsctl status shows: it accepts the answers before the rule that counts them. Make it permanent where these rules come from",
			ExplainedBy: []Code{AnswersBlocked},
		},
		{
			Code: AnswersUnclear, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "it is not known whether this director forwards the answers of real servers with forward: nat: its packet filter has rules that cannot be judged, or cannot be read",
			Remedy:      "try it from a client with the command that lvsctl status shows. If it works, add a rule before the one shown that accepts the answers by the real server's address and port",
			ExplainedBy: []Code{AnswersBlocked},
		},
	}
}
