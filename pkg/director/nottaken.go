package director

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// notTaken returns the problem of VIPs that nobody holds, as far as this director knows, and that it does not take yet: it listens
// for a MASTER, or waits for the end of a delay. After a start that is known when a MASTER's advert would have come; after a fault
// it holds at once, so that an instance whose fault returns again and again is never taken for one that serves.
func notTaken(i config.Instance, a *election.Snapshot, now time.Time) []problem.Finding {
	l := a.Listening
	listens := l.Yes && (l.Anew || now.Sub(a.Since) > a.AdvertInterval)
	if !listens && !l.Overdue || a.HeldBack || a.DueFor > 0 { // other problems say these
		return nil
	}
	return []problem.Finding{{Code: problem.VIPsNotTaken, Subject: i.Name, Text: fmt.Sprintf(
		"%s: no MASTER is heard, and this director is not MASTER yet: %s", i.Name, a.Reason)}}
}
