package ctl

import (
	"fmt"
	"io"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// oldReading is the age from which it is said: connections are read once a second, unless that takes long.
const oldReading = 5 * time.Second

// printConnectionSync prints the synchronization of connections; nothing if there is none.
func printConnectionSync(w io.Writer, c *status.ConnectionSync, now time.Time) {
	if c == nil {
		return
	}
	warm := "cold"
	switch {
	case c.Warm:
		warm = "warm"
	case c.NoMaster:
		warm = "no MASTER to learn from"
	}
	counts := "connections not counted yet"
	if c.ReadAt != nil {
		counts = fmt.Sprintf("%d held  %d learned  %d lacking", c.Held, c.Learned, c.Lacking)
		if now.Sub(*c.ReadAt) > oldReading {
			counts += fmt.Sprintf("  counted %s ago, which took %.1fs", age(*c.ReadAt, now), c.ReadingSeconds)
		}
	}
	fmt.Fprintf(w, "\nCONNECTION SYNC  %s  %s  %d sent again\n", warm, counts, c.SentAgain)
	if len(c.Peers) == 0 {
		return
	}
	fmt.Fprintln(w, "  HEARD\tAGO\tHELD\tLEARNED\tLACKING\tRECEIVED")
	for _, p := range c.Peers {
		held, learned, lacking := "", "", ""
		switch {
		case p.Uncounted:
			held, learned, lacking = "?", "?", "?"
		case p.Director:
			held, learned, lacking = fmt.Sprint(p.Held), fmt.Sprint(p.Learned), fmt.Sprint(p.Lacking)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%d\n", p.Address, age(p.LastHeard, now), held, learned, lacking, p.Received)
	}
}
