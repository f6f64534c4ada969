package health

// NeedsOperator reports whether the code is of a fault that an operator must mend although it may leave the state of a server
// or track unchanged: the check could not be made, or says that the server will fail. Codes of failures do not: the state
// tells about them.
func (c Code) NeedsOperator() bool {
	switch c {
	case Auth, Limited, Blocked, Secret, Local, NoNetwork, Unrunnable, Stuck, Unreadable, Expires, ServerFull:
		return true
	default:
		return false
	}
}

// outweighs reports whether c is to be reported rather than other, if several checks have equal parts in a verdict.
func (c Code) outweighs(other Code) bool { return c.weight() > other.weight() }

func (c Code) weight() int {
	switch {
	case c == ServerFull: // which says, as no other code, why a server that is up gets no connections
		return 3
	case c.NeedsOperator():
		return 2
	case c != OK: // failures, and "" of a check that has no result yet
		return 1
	default:
		return 0
	}
}

// heavier returns the code that is to be reported of two: a unless b outweighs it.
func heavier(a, b Code) Code {
	if b.outweighs(a) {
		return b
	}
	return a
}
