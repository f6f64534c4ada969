package lvs

// Condition is the result of the checks of one real server. The zero value: nothing is known yet.
type Condition struct {
	Known bool // a check has decided at least once; otherwise Up and Full are meaningless
	Up    bool
	Asked bool // a check has had a result that counts, even if it says nothing about the server
	Full  bool // it is up and accepts no more connections (MySQL error 1040); meaningless unless Up
	// Weighted: a check has given it a weight, Weight, that replaces the configured one; meaningless unless Up.
	Weighted bool
	Weight   uint16
	// Decision is an operator's.
	Decision Decision
	// Reserve: others of its pool have the connections (see Memory).
	Reserve bool
	// Kept: it is down, and keeps its entry with its weight, because too few of its pool are up (see Memory).
	Kept bool
	// Found: it took connections when its pool was found, and nothing has been known about it since (see Memory).
	Found bool
	// Part is the part of its weight that it has in a slow start (see Starts).
	Part Part
}

// Decision is what an operator has decided about a real server. The zero value: nothing.
type Decision struct {
	Admission Admission
	// Weight replaces the configured weight and that of a check; 0: it does not.
	Weight int
}

// Admission is whether an operator lets a real server have connections.
type Admission uint8

const (
	// Admitted: its checks decide.
	Admitted Admission = iota
	// Closing: it gets no new connections, and keeps those that it has.
	Closing
	// TakenOut: it has no connections, and no entry unless it stays.
	TakenOut
	// CutOff: it has no entry, so that its connections are cut.
	CutOff
)

// Whole returns the weight of a real server that is up, apart from a slow start.
func (c Condition) Whole(configured int) int {
	if c.Decision.Weight > 0 {
		return c.Decision.Weight
	}
	if c.Known && c.Up && c.Weighted {
		return int(c.Weight)
	}
	return configured
}

// Admits reports whether a real server with a configured weight may get new connections. One that has not been checked may.
func (c Condition) Admits(configured int) bool {
	return c.Decision.Admission == Admitted && !c.Reserve && (!c.Known || c.Up) && c.Whole(configured) > 0
}

// Member is one real server of a pool, as input of the weight rules.
type Member struct {
	Weight    int // configured, or given by a check
	Condition Condition
	InitialUp bool // initial_state: up
	// Stays: it keeps an entry with weight 0 while it is not up, in reserve or taken out.
	Stays bool
	// Inhibit: it keeps an entry with weight 0 while it is not up or in reserve.
	Inhibit bool

	// Found: it was in the kernel's table when the director started, with the weight FoundWeight.
	Found       bool
	FoundWeight int
}

// Entry is what a pool has in the table for one member. The zero value: it has none.
type Entry struct {
	Present bool
	Weight  int
}

// Entries returns the entry of every member of a pool:
//
//   - cut off by an operator: not in the table
//   - taken out by an operator: not in the table, or there with weight 0 if it stays
//   - closed by an operator: in the table with weight 0, even in reserve; while it is down as any other that is
//   - up: in the table with its configured weight, or that of a check or an operator; in a slow start with a part of it
//   - down, and kept: as if it was up; it does not count as one that accepts connections
//   - down, or in reserve: not in the table, or there with weight 0 if it stays or is inhibited
//   - nothing known: as it was found in the table (unknown is not down; a weight of 0 that was found is kept like
//     "full"); one that was not found is in the table if its initial_state is up
//   - full: weight 0 while another member accepts connections. If none does, all of them keep their configured
//     weights, because taking out the last one would turn a slow service into an outage
func Entries(pool []Member) []Entry {
	takers := false
	for _, m := range pool {
		takers = takers || takesConnections(m.present(), m.Weight) && !m.full() && m.admitted() && !m.Condition.Reserve && !m.keptDown()
	}
	entries := make([]Entry, len(pool))
	for i, m := range pool {
		switch {
		case m.Condition.Decision.Admission == CutOff:
		case m.Condition.Decision.Admission == TakenOut:
			entries[i].Present = m.Stays
		case !m.present():
			entries[i].Present = m.Stays || m.Inhibit
		case !m.admitted(): // in reserve as well: its connections go on
			entries[i] = Entry{Present: true}
		case m.Condition.Reserve:
			entries[i].Present = m.Stays || m.Inhibit
		case m.full() && takers:
			entries[i] = Entry{Present: true}
		default:
			entries[i] = Entry{Present: true, Weight: m.Condition.Part.Of(m.Weight)}
		}
	}
	return entries
}

func (m Member) present() bool {
	if m.Condition.Known {
		return m.Condition.Up || m.Condition.Kept
	}
	return m.Found || m.InitialUp || m.Condition.Found
}

func (m Member) keptDown() bool { return m.Condition.Known && !m.Condition.Up && m.Condition.Kept }

func (m Member) admitted() bool { return m.Condition.Decision.Admission == Admitted }

func (m Member) full() bool {
	if m.Condition.Known {
		return m.Condition.Full && m.Condition.Up
	}
	return m.Found && m.FoundWeight == 0
}
