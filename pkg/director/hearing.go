package director

import (
	"context"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// silentLink is after how long a link on which no other machine is heard is a problem: most answer within milliseconds.
const silentLink = 3 * time.Second

// openSocket opens a VRRP socket; at a start its link may have come up just now.
func (d *Director) openSocket(l *loops, on vrrp.Segment, p *plan.Plan) error {
	err := l.sockets.add(on)
	if err == nil && l.instances.starting {
		d.listen(l, on, p)
	}
	return err
}

// reopenSocket follows a link that has come up again.
func (d *Director) reopenSocket(l *loops, on vrrp.Segment, p *plan.Plan) {
	l.sockets.reopen(on)
	d.listen(l, on, p)
}

// listen lets the instances on a link that has come up wait, for a limited time, until another machine is heard on it: what has a
// carrier may deliver nothing yet.
func (d *Director) listen(l *loops, on vrrp.Segment, p *plan.Plan) {
	h, wanted := p.Hearing(on)
	if !wanted {
		return
	}
	for id, most := range h.Delays {
		l.instances.tell(id, vrrp.Deaf{For: most})
	}
	l.sockets.listen(on, func(ctx context.Context, every time.Duration) error {
		return d.o.Kernel.Hear(ctx, on, h.Source, h.Targets, every)
	})
}

// silentLinks returns the problem of an instance on whose link no other machine has been heard since it came up.
func silentLinks(i config.Instance, a *election.Snapshot) []problem.Finding {
	if a.DeafFor < silentLink {
		return nil
	}
	text := fmt.Sprintf("VRRP instance %s: no packet of another machine has been received on %s since its link came up", i.Name, i.Interface)
	if a.Deafened {
		text += fmt.Sprintf("; it takes the VIPs %s after that at the earliest (deaf_delay)", i.DeafDelay)
	}
	return []problem.Finding{{Code: problem.LinkSilent, Subject: i.Name, Text: text, Related: []string{i.Interface}}}
}
