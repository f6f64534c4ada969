package priority

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// mostRows limits the rows of a table.
const mostRows = 64

// Table says who is MASTER of an instance for every result of its tracks.
type Table struct {
	Instance string   `json:"instance"`
	Tracks   []string `json:"tracks"` // what they do, by director
	// Directors are the heads of the columns.
	Directors []string `json:"directors"`
	Rows      []Row    `json:"rows"`
	Notes     []string `json:"notes"`
}

// Row is one state, or several with the same result.
type Row struct {
	Standings []string `json:"standings"` // by director: "130 (db down)"
	Masters   string   `json:"masters"`
}

// Explain returns a table for each instance of a file.
func Explain(cfg *config.Config) []Table {
	var all []Table
	for _, i := range cfg.Instances {
		all = append(all, worldOf(cfg, i).table())
	}
	return all
}

func (w world) table() Table {
	t := Table{Instance: w.instance.Name}
	for _, r := range w.routers {
		t.Directors = append(t.Directors, r.name)
		for _, g := range r.groups {
			t.Tracks = append(t.Tracks, r.name+": "+g.String())
		}
	}
	t.Notes = w.notes()
	most, states := w.mostBad(), w.each
	if w.combinations(mostStates) > mostStates {
		states = w.single
	}
	states(func(s state) {
		if count(s) <= most {
			t.Rows = append(t.Rows, w.row(s))
		}
	})
	if n := w.tracks(); most < n {
		t.Notes = append(t.Notes, fmt.Sprintf("there are %d tracks on all directors together: only the states with at most %d failures are shown", n, most))
	}
	return t
}

// mostBad is up to how many failures at once the states fit into a table.
func (w world) mostBad() int {
	if w.combinations(mostRows) <= mostRows {
		return w.tracks()
	}
	rows := map[int]int{}
	if w.combinations(mostStates) > mostStates {
		return 1
	}
	w.each(func(s state) { rows[count(s)]++ })
	most, sum := 1, rows[0]+rows[1]
	for sum+rows[most+1] <= mostRows {
		most++
		sum += rows[most]
	}
	return most
}

// single calls f for the states with at most one bad track.
func (w world) single(f func(state)) {
	s := w.inOrder()
	f(s)
	for n := range s {
		for g := range s[n] {
			s[n][g] = 1
			f(s)
			s[n][g] = 0
		}
	}
}

func (w world) tracks() int {
	n := 0
	for _, r := range w.routers {
		for _, g := range r.groups {
			n += len(g.names)
		}
	}
	return n
}

func count(s state) int {
	n := 0
	for _, one := range s {
		for _, bad := range one {
			n += bad
		}
	}
	return n
}

func (w world) row(s state) Row {
	var r Row
	all := w.standings(s)
	for n, one := range all {
		text := fmt.Sprint(one.priority)
		if one.fault {
			text = "FAULT"
		}
		var wrong []string
		for g, bad := range s[n] {
			if bad > 0 {
				wrong = append(wrong, w.routers[n].groups[g].wrong(bad))
			}
		}
		if one.shut && !one.fault {
			wrong = append(wrong, "does not become MASTER")
		}
		if len(wrong) > 0 {
			text += " (" + strings.Join(wrong, ", ") + ")"
		}
		r.Standings = append(r.Standings, text)
	}
	r.Masters = w.names(w.masters(all))
	return r
}

// names lists routers, with nobody last.
func (w world) names(routers []int) string {
	var names []string
	for _, n := range routers {
		if n != nobody {
			names = append(names, w.routers[n].name)
		}
	}
	if slices.Contains(routers, nobody) {
		names = append(names, "nobody")
	}
	return strings.Join(names, " or ")
}

// wrong says which tracks of a group are in the bad state.
func (g group) wrong(bad int) string {
	word := "down"
	switch {
	case g.kind == config.File && g.use.Reverse:
		word = "0"
	case g.kind == config.File:
		word = "1"
	case g.use.Reverse:
		word = "up"
	}
	if bad == len(g.names) {
		return strings.Join(g.names, ", ") + " " + word
	}
	return fmt.Sprintf("%d of %s %s", bad, strings.Join(g.names, ", "), word)
}

// notes are what the table means for the operator.
func (w world) notes() []string {
	var all []string
	for _, e := range w.equals() {
		all = append(all, w.routers[e.one].name+" and "+w.routers[e.other].name+" have the same priority: "+addressDecides)
	}
	if masters := w.masters(w.standings(w.inOrder())); len(masters) > 1 {
		all = append(all, "who is MASTER with everything in order depends on who was: it stays")
	}
	worst := w.inOrder()
	for n, r := range w.routers {
		for g, one := range r.groups {
			if one.use.Weight == 0 {
				worst[n][g] = len(one.names)
			}
		}
	}
	if end := w.masters(w.standings(worst)); slices.Contains(end, nobody) {
		all = append(all, "nobody has the virtual addresses if the tracks without a weight fail on all directors")
	}
	for _, f := range w.idleWithin() {
		all = append(all, f.text+": "+f.hint)
	}
	if delays := w.deafDelays(); delays != "" {
		all = append(all, "a director that hears no other machine at all after its start takes addresses that nobody holds only after "+delays+" (deaf_delay)")
	}
	return all
}

// deafDelays names each different deaf_delay with its directors: "10s on a, 20s on b"; "" if there is none.
func (w world) deafDelays() string {
	var all []string
	for n, r := range w.routers {
		same := func(o router) bool { return o.deaf == r.deaf }
		if r.deaf == 0 || slices.ContainsFunc(w.routers[:n], same) {
			continue
		}
		var names []string
		for _, o := range w.routers {
			if same(o) {
				names = append(names, o.name)
			}
		}
		text := r.deaf.String()
		if len(names) < len(w.routers) {
			text += " on " + strings.Join(names, " and ")
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (w world) idleWithin() []finding {
	if len(w.routers) < 2 || w.combinations(mostStates) > mostStates {
		return nil
	}
	return w.idle()
}

// String returns the table as text.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "VRRP instance %s\n", t.Instance)
	for _, one := range t.Tracks {
		fmt.Fprintf(&b, "  %s\n", one)
	}
	b.WriteString("\n")
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "  %s\tMASTER\n", strings.Join(t.Directors, "\t"))
	for _, r := range t.Rows {
		fmt.Fprintf(out, "  %s\t%s\n", strings.Join(r.Standings, "\t"), r.Masters)
	}
	_ = out.Flush()
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "\n  Note: %s.", n)
	}
	if len(t.Notes) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}
