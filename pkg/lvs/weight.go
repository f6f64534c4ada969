package lvs

// Condition is what the checks say of one real server. The zero value: nothing is known yet.
type Condition struct {
	Known bool // a check has decided at least once; without it the other two mean nothing
	Up    bool
	Full  bool // it is up and takes no more connections (MySQL error 1040); means nothing unless Up
}

// Member is one real server of a pool as the weight rules see it.
type Member struct {
	Weight    int // configured
	Condition Condition
	InitialUp bool // initial_state: up

	// Found tells that it stood in the kernel's table when the director started, FoundWeight with which weight.
	Found       bool
	FoundWeight int
}

// Place is where a member stands in the table. The zero value: it is not in it.
type Place struct {
	Present bool
	Weight  int
}

// Places gives every member of a pool its place:
//
//   - up: in the table with its configured weight
//   - down: not in the table
//   - nothing known: as it was found in the table (unknown is not down; a weight of 0 found there is kept like "full"),
//     and one that was not found is in it if initial_state says so
//   - full: weight 0 while another member takes connections. Where none does all of them keep their configured
//     weights, for the last one out would turn a slow service into none
func Places(pool []Member) []Place {
	takers := false
	for _, m := range pool {
		takers = takers || m.present() && !m.full() && m.Weight > 0
	}
	places := make([]Place, len(pool))
	for i, m := range pool {
		switch {
		case !m.present():
		case m.full() && takers:
			places[i] = Place{Present: true}
		default:
			places[i] = Place{Present: true, Weight: m.Weight}
		}
	}
	return places
}

func (m Member) present() bool {
	if m.Condition.Known {
		return m.Condition.Up
	}
	return m.Found || m.InitialUp
}

func (m Member) full() bool {
	if m.Condition.Known {
		return m.Condition.Full
	}
	return m.Found && m.FoundWeight == 0
}
