package problem

// PositionsUnread is the code about take-over records.
const PositionsUnread Code = "positions_unread"

func takeOverCodes() []Declaration {
	return []Declaration{{
		Code: PositionsUnread, Severity: Warning, Role: Director, Subject: "instance",
		Means:  "the positions of the database that a take-over record needs cannot be read: a take-over would be recorded without them, or with the last ones that were read",
		Remedy: "the text says why. The account may not see them: grant what the text names. The database does not answer: see its track",
	}}
}
