package problem

// machineCodes are the codes about limits and routes of a director's machine that clients meet.
func machineCodes() []Declaration {
	return []Declaration{
		{
			Code: ServerBehindRouter, Severity: Warning, Role: Director, Subject: "virtual server",
			Means: "a real server with `forward: dr` is reached through a router. The packets of clients keep the VIP as their destination and go to the router's hardware address, and the router sends them back to the holder of the VIP. " +
				"Checks, which are sent to the real server's own address, succeed. It is found once a minute by a UDP packet to port 33434 whose time to live ends at a router; a router that does not say so is not noticed",
			Remedy: "put the real server into a network of the directors, or use forward: tun. If the route should be direct, ip route get of its address shows what to correct",
		},
		{
			Code: ConntrackFull, Severity: Critical, Role: Director, Subject: "node",
			Means:  "the table of connection tracking is full: the kernel drops the first packets of new connections that pass it, those of clients and of checks",
			Remedy: "run the command that lvsctl status shows and make it permanent in /etc/sysctl.d, or exempt the packets of VIPs from connection tracking, as the quick start does. conntrack -S counts what was dropped, conntrack -L shows whose connections these are",
		},
		{
			Code: ConntrackNearlyFull, Severity: Warning, Role: Director, Subject: "node",
			Means:       "the table of connection tracking is nearly full. When it is full, the kernel drops the first packets of new connections that pass it",
			Remedy:      "run the command that lvsctl status shows and make it permanent in /etc/sysctl.d, or exempt the packets of VIPs from connection tracking, as the quick start does",
			ExplainedBy: []Code{ConntrackFull},
		},
		{
			Code: ConnectionTableSmall, Severity: Warning, Role: Director, Subject: "node",
			Means:  "the hash table of IPVS has few buckets for its connections: the kernel searches a long list for each packet of a client, which costs CPU",
			Remedy: "write the line that lvsctl status shows to /etc/modprobe.d/ip_vs.conf. It counts when the module is loaded: reboot the directors one after the other, the BACKUP first",
		},
		{
			Code: EntriesDropped, Severity: Warning, Role: Director, Subject: "node",
			Means: "IPVS removes entries of connections at random: handshakes that are under way, and connections on which at most 8 packets were sent and none for a minute, as in a pool of an application. " +
				"The next packet of such a client is answered with a reset",
			Remedy: "run the command that lvsctl status shows, and remove the setting where it comes from, such as /etc/sysctl.d. With 1 the kernel does this only while memory is short",
		},
	}
}
