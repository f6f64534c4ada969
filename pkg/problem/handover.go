package problem

// HandoverForgotten is the code about planned handovers.
const HandoverForgotten Code = "handover_forgotten"

func handoverCodes() []Declaration {
	return []Declaration{{
		Code: HandoverForgotten, Severity: Warning, Role: Director, Subject: "instance",
		Means:  "since lvsctl failover, 15 minutes ago or more, this director takes over from no MASTER, whatever its priority",
		Remedy: "when the work on this director is done, run lvsctl failover INSTANCE --release on it. A restart of the daemon does the same",
	}}
}
