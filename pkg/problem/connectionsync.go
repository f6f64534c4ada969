package problem

// The codes of the synchronization of connections.
const (
	SyncNotRunning Code = "sync_not_running"
	SyncSilent     Code = "sync_silent"
	SyncLacking    Code = "sync_lacking"
	SyncTooLong    Code = "sync_too_long"
	UnknownReset   Code = "unknown_reset"
)

// connectionSyncCodes are the codes of the synchronization of connections.
func connectionSyncCodes() []Declaration {
	return []Declaration{
		{
			Code: SyncNotRunning, Severity: Warning, Role: Director, Subject: "master or backup; node",
			Means:  "a synchronization daemon of IPVS does not run, or not with the settings of connection_sync: connections will not survive a failover",
			Remedy: "the text says why. The interface does not exist: restore it, or correct connection_sync. Another program runs one, which is never stopped by a director: ipvsadm -l --daemon shows it; stop it with ipvsadm --stop-daemon and remove what starts it (keepalived's lvs_sync_daemon, a unit). The director starts its own within a second. The kernel takes too long to list its connections: kernels before 6.16 do so from some hundred thousand on; the daemons work, and only what is quiet is not sent again. The connections could not be compared: the MASTER does not count its own, and reports why (lvsctl status there); or readings of the connections take too long, see the time after counted in lvsctl status of both directors",
		},
		{
			Code: SyncSilent, Severity: Warning, Role: Director, Subject: "node",
			Means:       "a director that is BACKUP receives no synchronization messages: connections will not survive a failover",
			Remedy:      "tcpdump -ni INTERFACE udp port 8848 on both directors. Not sent: connection_sync is missing there, or has another interface, group, port or id. Not received: the switch does not pass the multicast group on (IGMP snooping without a querier), or a packet filter drops UDP port 8848. With a keepalived as MASTER that has had no connection since this director started, nothing is wrong",
			ExplainedBy: []Code{SyncNotRunning, SocketUnavailable, InstanceFault},
		},
		{
			Code: SyncLacking, Severity: Warning, Role: Director, Subject: "node",
			Means:       "a director that is BACKUP has lacked connections of the MASTER for 15 s: they will not survive a failover",
			Remedy:      "ipvsadm -lcn on both directors. Messages are lost: see whether the counters of ip -s link and of nstat -az UdpRcvbufErrors grow, and whether sync_too_long is reported. The MASTER sends again what is lacking, at most 4 000 connections a second",
			ExplainedBy: []Code{SyncNotRunning, SyncTooLong},
		},
		{
			Code: SyncTooLong, Severity: Warning, Role: Director, Subject: "node",
			Means:  "another director sends synchronization messages that the kernel of this one does not receive, because they are too long",
			Remedy: "give connection_sync the same maxlen on all directors, at least that of the text (keepalived: lvs_sync_daemon … maxlen N)",
		},
		{
			Code: UnknownReset, Severity: Warning, Role: Director, Subject: "node",
			Means:  "with `connection_sync`, the packet filter rules that keep a new MASTER from resetting connections which it does not know yet cannot be set or read: connections that are being opened while the virtual addresses move may be reset, or rules that are no longer needed delay the answer to connections that are lost; retried every second. A kernel without nf_tables is no problem of this kind: the log says so once",
			Remedy: "act on the reason. nft list table inet lvs_director_take_over shows the rules that are there",
		},
	}
}
