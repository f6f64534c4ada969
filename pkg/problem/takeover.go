package problem

// The codes about take-overs of a database.
const (
	PositionsUnread Code = "positions_unread"
	VIPsWait        Code = "vips_wait"
)

func takeOverCodes() []Declaration {
	return []Declaration{{
		Code: PositionsUnread, Severity: Warning, Role: Director, Subject: "instance",
		Means:  "the positions of the database that a take-over record needs cannot be read: a take-over would be recorded without them, or with the last ones that were read",
		Remedy: "the text says why. The account may not see them: grant what the text names. The database does not answer: see its track",
	}, {
		Code: VIPsWait, Severity: Critical, Role: Director, Subject: "instance",
		Means:  "this director has become MASTER, and its VIPs wait until the database has applied its relay log (before_vip): no client is served until then",
		Remedy: "wait: the text says for how long at most. To end it now set before_vip to a shorter timeout, or remove it, and run lvsctl reload: that counts from the next time on; this wait ends when the instance is MASTER again, for example after a restart of the director",
	}}
}
