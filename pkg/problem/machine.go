package problem

// machineCodes are the codes about limits of a director's machine that clients meet.
func machineCodes() []Declaration {
	return []Declaration{
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
	}
}
