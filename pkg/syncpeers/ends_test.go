package syncpeers

import (
	"context"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// TestEnds: connections of two protocols to one address and port are sent as each of them is forwarded, and with the mark of its
// virtual server.
func TestEnds(t *testing.T) {
	tcp, udp := client(1), client(2)
	udp.Protocol = "udp"
	l := New(Options{})
	ask := Ask{Served: func(c lvs.Connection) Served {
		if c.Protocol == "udp" {
			return Served{Known: true, Held: true, Forward: config.TUN, Mark: 5}
		}
		return Served{Known: true, Held: true, Forward: config.DR}
	}}
	l.begin(t.Context(), func(_ context.Context, each func(lvs.Connection)) error {
		each(tcp)
		each(udp)
		return nil
	}, ask, connsync.Need{Blind: true}, connsync.Pace{})
	o := <-l.ended
	l.known, l.again = o.known, []lvs.Connection{tcp, udp}
	all := l.entries()
	if len(all) != 2 || o.reading.Held.Total() != 2 || o.reading.Begun.After(time.Now()) {
		t.Fatalf("%+v, %+v", all, o.reading)
	}
	if dr := syncmsg.ForwardDR | syncmsg.FlagNoOutput; all[0].Flags != uint32(dr) || all[0].Mark != 0 {
		t.Errorf("tcp: %+v", all[0])
	}
	if tun := syncmsg.ForwardTUN | syncmsg.FlagNoOutput | syncmsg.FlagInactive; all[1].Flags != uint32(tun) || all[1].Mark != 5 {
		t.Errorf("udp: %+v", all[1])
	}
}
