package problem

// The codes about what operators have decided at run time.
const (
	PoolEmptied       Code = "pool_emptied"
	OverrideForgotten Code = "override_forgotten"

	DrainRefusesClients      Code = "drain_refuses_clients"
	MaintenanceDirUnreadable Code = "maintenance_dir_unreadable"
)

func overrideCodes() []Declaration {
	return []Declaration{
		{
			Code: PoolEmptied, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:  "no real server takes new connections, and clients fail: an operator has drained or disabled servers whose checks pass",
			Remedy: "lvsctl enable SERVICE/SERVER for one of the servers that the text names, or repair another one; lvsctl status shows who has taken them out, and why. If it is wanted, nothing has to be done",
		},
		{
			Code: OverrideForgotten, Severity: Warning, Role: Director, Subject: "what is overridden",
			Means:  "a drain, disable or weight that an operator has set more than a day ago, and that has no end",
			Remedy: "when the work is done, run lvsctl enable with the name on this director. If it has to stay, put it into the cluster file (weight: 0, or without the server) and enable it, or set it once more with --for and a time. If the text names a file, remove the file",
		},
		{
			Code: DrainRefusesClients, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:  "the scheduler refuses the clients that it has assigned to a real server with weight 0, and an operator has drained or disabled one",
			Remedy: "add scheduler_flags: [fallback] to the virtual server in the cluster file, and run lvsctl reload: its clients then go to other servers. With dh, choose another scheduler. Or lvsctl enable for the real server",
		},
		{
			Code: MaintenanceDirUnreadable, Severity: Warning, Role: Director, Subject: "node",
			Means:  "the directory maintenance_dir cannot be read: files that appear or go there have no effect",
			Remedy: "act on the text: create the directory, make it readable for the daemon, or repair its file system; or remove maintenance_dir from the cluster file and reload",
		},
	}
}
