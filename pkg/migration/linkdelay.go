package migration

import (
	"strconv"
	"time"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// linkDelay is a line of interface_up_down_delays.
type linkDelay struct {
	at       *conftree.Statement
	down, up float64 // seconds
	used     bool    // an instance is on the interface
}

// readLinkDelays reads interface_up_down_delays: INTERFACE DOWN_DELAY [UP_DELAY].
func (r *reader) readLinkDelays(s *conftree.Statement) {
	if !s.IsBlock {
		r.judge(s, Refused, "keepalived expects a block here: add { and }")
		return
	}
	for _, line := range s.Block {
		d := &linkDelay{at: line}
		down, up := r.delay(line, 1), true
		d.down = max(down, 0)
		if len(line.Words) > 2 {
			d.up = r.delay(line, 2)
			up = d.up >= 0
		}
		if down >= 0 && up {
			if before := r.delays[line.Keyword()]; before != nil {
				r.judge(before.at, NoEffect, "line %d replaces it", line.At().Line)
			}
			r.delays[line.Keyword()] = d
		}
		r.surplus(line, 4)
		r.rest(line)
	}
	r.judge(s, Translated, "")
}

// delay reads an argument as seconds from 0 to 255; -1: it is none.
func (r *reader) delay(s *conftree.Statement, n int) float64 {
	d, err := strconv.ParseFloat(s.Arg(n), 64)
	if err != nil || !(d >= 0 && d <= 255) {
		r.judge(s, Refused, "'%s' is no delay of 0 to 255 s", s.Arg(n))
		return -1
	}
	return d
}

// applyLinkDelay writes the delays of the interface of an instance. keepalived, too, has none longer than down_timer_adverts − 1
// intervals before a fault.
func (r *reader) applyLinkDelay(i *instance) {
	d := r.delays[i.interfaceName()]
	if d == nil {
		return
	}
	d.used = true
	interval, adverts := time.Second, 3
	if text := i.text("advert_interval"); text != "" {
		interval, _ = time.ParseDuration(text)
	}
	if text := i.text("down_timer_adverts"); text != "" {
		adverts, _ = strconv.Atoi(text)
	}
	down := d.down
	if most := (time.Duration(adverts-1) * interval).Seconds(); down > most {
		down = most
		r.judge(d.at, Changed, "keepalived, too, takes at most down_timer_adverts − 1 advert intervals: %s", duration(most))
	}
	if down > 0 && i.get("dont_track_primary") != nil {
		down = 0
		r.judge(d.at, Changed, "with dont_track_primary the carrier never counts, so there is no interface_down_delay")
	}
	if down > 0 {
		i.add("interface_down_delay", duration(down))
	}
	if d.up > 0 {
		i.add("interface_up_delay", duration(d.up))
		r.judge(d.at, Changed, "after that delay it preempts; what nobody holds it takes at once")
	}
}

// judgeLinkDelays writes the delays of interfaces that are tracked, and refuses those of others that no instance is on.
func (r *reader) judgeLinkDelays() {
	for name, d := range r.delays {
		if t := r.scripts["interface "+name]; t != nil {
			d.used = true
			if d.down > 0 {
				t.add("down_delay", duration(d.down))
			}
			if d.up > 0 {
				t.add("up_delay", duration(d.up))
			}
		}
		if !d.used {
			r.judge(d.at, Refused, "no instance is on this interface, and none tracks it: write a track of type interface with up_delay and down_delay")
		}
	}
}

// finishUntracked writes dont_track_primary, which has no effect in keepalived if track_interface names the interface.
func (i *instance) finishUntracked(r *reader) {
	switch {
	case i.untracked == nil:
	case i.tracked:
		r.judge(i.untracked, NoEffect, "track_interface names %s, so that it is tracked", i.interfaceName())
	default:
		r.set(i.object, "dont_track_primary", true, i.untracked)
		r.judge(i.untracked, Changed, "the carrier of %s does not count; an interface that is set down or removed is a fault nevertheless", i.interfaceName())
	}
}
