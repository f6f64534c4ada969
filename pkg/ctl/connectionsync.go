package ctl

import (
	"fmt"
	"io"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

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
	fmt.Fprintf(w, "\nCONNECTION SYNC  %s  %d held  %d learned  %d lacking  %d sent again\n", warm, c.Held, c.Learned, c.Lacking, c.SentAgain)
	if len(c.Peers) == 0 {
		return
	}
	fmt.Fprintln(w, "  HEARD\tAGO\tHELD\tLEARNED\tLACKING\tRECEIVED")
	for _, p := range c.Peers {
		held, learned, lacking := "", "", ""
		if p.Director {
			held, learned, lacking = fmt.Sprint(p.Held), fmt.Sprint(p.Learned), fmt.Sprint(p.Lacking)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%d\n", p.Address, age(p.LastHeard, now), held, learned, lacking, p.Received)
	}
}
