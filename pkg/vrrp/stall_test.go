package vrrp

import (
	"testing"
	"time"
)

// TestExtendAfterStall: a BACKUP that stalled waits once for one more advert before it takes over.
func TestExtendAfterStall(t *testing.T) {
	const more = sec + skew100
	play(t, in(t, Backup, us()), []step{
		{0, hears(150, master), "", down100},
		{down100 + 2*sec, Tick{}, "", down100 + 2*sec + more},
		{down100 + 9*sec, Tick{}, takes("silent_peer"), down100 + 10*sec},
	})
	play(t, in(t, Backup, us()), []step{
		{0, hears(150, master), "", down100},
		{down100 + 9*sec, Tick{}, "", down100 + 9*sec + more},
		{down100 + 9500*ms, hears(150, master), "", 2*down100 + 9500*ms}, // the MASTER is alive
		{2*down100 + 15*sec, Tick{}, "", 2*down100 + 15*sec + more},
	})
	play(t, in(t, Backup, us()), []step{
		{down100 + 2*sec - ms, Tick{}, takes("alone"), down100 + 3*sec - ms},
	})
}

func TestDrainFirst(t *testing.T) {
	for _, tt := range []struct {
		state State
		first time.Duration // from then on
	}{
		{Backup, down100},
		{Master, 1500 * ms},
	} {
		m := in(t, tt.state, us())
		if m.DrainFirst(tt.first-1) || !m.DrainFirst(tt.first) {
			t.Errorf("%s: DrainFirst does not become true at %s", tt.state, tt.first)
		}
	}
	for _, state := range []State{Init, Fault} {
		if in(t, state, us()).DrainFirst(9 * sec) {
			t.Errorf("%s: DrainFirst is true, but no timer runs", state)
		}
	}
}
