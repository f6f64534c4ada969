package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// patient is the client of scenarios in which no connection may break at a move: it waits for a packet that is sent again.
var patient = measure.Options{Every: 5 * time.Millisecond, Timeout: 3 * time.Second}

// moves captures at a client which director announces the VIP.
type moves struct {
	t         *testing.T
	arps      *capture.Capture
	directors []*node
}

func watchMoves(t *testing.T, client *lab.Host, directors ...*node) *moves {
	t.Helper()
	return &moves{t, capture.Start(client, "eth0", "arp"), directors}
}

// clockError is how much later than the packet of an attempt the client may write down its begin, and the end of an attempt earlier.
const clockError = 2 * time.Millisecond

// check judges what clients saw. A connection that is being opened in the moment in which the client hears that the VIP has moved
// may fail on a kernel without nf_tables, beside keepalived, and without connection synchronization: its first packet went to one
// director, and the next goes to another, which answers with a reset. Nothing else may fail.
func (m *moves) check(r measure.Result) {
	m.t.Helper()
	var at []time.Time
	last := ""
	for _, p := range m.arps.Stop() {
		for _, d := range m.directors {
			if d.Name != last && strings.HasPrefix(p.Text, d.mac()+" > ff:ff:ff:ff:ff:ff") && (strings.Contains(p.Text, "tell "+vip) || strings.Contains(p.Text, vip+" is-at ")) {
				at, last = append(at, p.Time), d.Name
			}
		}
	}
	opening, slow, longest := 0, 0, time.Duration(0)
	for _, a := range r.Attempts {
		longest = max(longest, a.Took)
		switch {
		case a.Answered() && a.Took > 150*time.Millisecond:
			slow++
		case a.Answered():
		case a.Failure == "reset" && during(a, at):
			opening++
		default:
			m.t.Errorf("failed after %s: %+v; the VIP moved at %v", a.Took, a, at)
		}
	}
	m.t.Logf("%s; %d of them were being opened at a move; %d took longer than 150 ms, the longest %s; moved at %v", r, opening, slow, longest, at)
	if opening > len(at) {
		m.t.Errorf("%d connections that were being opened failed at %d moves", opening, len(at))
	}
}

// during reports whether one of the times is in an attempt.
func during(a measure.Attempt, at []time.Time) bool {
	for _, moved := range at {
		if !moved.Before(a.Start.Add(-clockError)) && !moved.After(a.Start.Add(a.Took+clockError)) {
			return true
		}
	}
	return false
}
