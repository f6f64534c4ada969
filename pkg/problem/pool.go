package problem

// The codes about the policy of pools.
const (
	SorryServerUsed Code = "sorry_server_used"
	SorryServerDown Code = "sorry_server_down"
	QuorumLost      Code = "quorum_lost"

	StandbyUsed         Code = "standby_used"
	BelowPanicThreshold Code = "below_panic_threshold"
	KernelLacks         Code = "kernel_lacks"
)

func poolCodes() []Declaration {
	return []Declaration{
		{
			Code: SorryServerUsed, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:       "the quorum is lost, and the sorry server has the clients instead of the real servers",
			Remedy:      "repair the real servers: lvsctl status shows the reason for each that is not up. They get the clients back by themselves when the weights of those that are up add up to the quorum plus the hysteresis",
			ExplainedBy: []Code{AllChecksFail},
		},
		{
			Code: SorryServerDown, Severity: Warning, Role: Director, Subject: "virtual server/sorry server",
			Means:  "a sorry server is not up: if the real servers fail, it cannot take their place",
			Remedy: "lvsctl status shows the reason: repair it, correct its checks, or remove it from the cluster file and reload",
		},
		{
			Code: QuorumLost, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:  "the weights of the real servers that are up no longer add up to the quorum; those that are left serve",
			Remedy: "repair the real servers: lvsctl status shows the reason for each that is not up. The quorum is met again when their weights add up to the quorum plus the hysteresis. A quorum that is too high: change it in the cluster file and reload",
		},
		{
			Code: StandbyUsed, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:  "the standby servers have the connections, because too few primary ones were up",
			Remedy: "repair the primary servers: lvsctl status shows the reason for each that is not up. With fail_back: true connections go back by themselves. With fail_back: false, when the primary servers may have them again: lvsctl drain each standby server on all directors, with --force if they refuse, and then lvsctl enable it",
		},
		{
			Code: BelowPanicThreshold, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:  "too few real servers are up, so that those whose checks fail keep their entries (panic_threshold): some connections fail",
			Remedy: "find what makes so many checks fail: lvsctl status shows the reasons. If the checks are right, repair the real servers; if they are not, correct the checks. lvsctl disable takes a server out that must not have connections",
		},
		{
			Code: KernelLacks, Severity: Critical, Role: Director, Subject: "virtual server", Unready: true,
			Means:  "when the director started, its kernel did not have what a virtual server of the cluster file needs: its clients are not served as the file says. The other virtual servers are. A reload of a file that needs it is refused",
			Remedy: "the text says what the kernel lacks, and what tells that: change the virtual server, or use another kernel. The director looks once, at its start: if the evidence was wrong (a file in /boot that is not of this kernel), correct that and run systemctl restart lvs-director",
		},
	}
}
