package problem

// The codes of the synchronization of connections.
const (
	SyncNotRunning Code = "sync_not_running"
)

// connectionSyncCodes are the codes of the synchronization of connections.
func connectionSyncCodes() []Declaration {
	return []Declaration{
		{
			Code: SyncNotRunning, Severity: Warning, Role: Director, Subject: "master or backup; node",
			Means:  "a synchronization daemon of IPVS does not run, or not with the settings of connection_sync: connections will not survive a failover",
			Remedy: "the text says why. The interface does not exist: restore it, or correct connection_sync. Another program runs one, which is never stopped by a director: ipvsadm -l --daemon shows it; stop it with ipvsadm --stop-daemon and remove what starts it (keepalived's lvs_sync_daemon, a unit). The director starts its own within a second",
		},
	}
}
