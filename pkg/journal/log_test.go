package journal

import (
	"log/slog"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/logtest"
)

// These log lines are stable: operators and scripts search for them.
func TestLog(t *testing.T) {
	var out logtest.Buffer
	at := time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)
	j := New(t.TempDir(), Log(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			if !a.Value.Time().Equal(at) {
				t.Errorf("logged at %s, want the time of the event", a.Value)
			}
			return slog.Attr{}
		}
		return a
	}}))))
	for _, e := range []event.Event{
		{Kind: event.InstanceState, Subject: "mysql", From: "BACKUP", To: "MASTER", Reason: "MASTER: no advert from 10.77.0.2 for 3.61s", VirtualRouterID: 51},
		{Kind: event.RealServerState, Subject: "mysql/mysql2", From: "up", To: "down", Code: "refused", Reason: "down: mysql: refused (2 of 2)"},
		{Kind: event.RealServerState, Subject: "mysql/mysql2", From: "down", To: "full", Code: "full", Reason: "full: mysql"},
		{Kind: event.TrackState, Subject: "gateway", From: "unknown", To: "up", Code: "ok", Reason: "up: tcp"},
		{Kind: event.BFDSessionState, Subject: "gateway on eth0", From: "Down", To: "Up"},
		{Kind: event.BFDSessionState, Subject: "gateway on eth0", From: "Up", To: "Down", Reason: "10.77.0.1 was silent for 30ms"},
		{Kind: event.ReloadRefused, Subject: "cluster.yaml", Reason: "cluster.yaml:1:1: version: 2 is not 1"},
		{Kind: event.InstanceState, Subject: "mysql", From: "MASTER", To: "FAULT", Reason: "FAULT: the interface eth0 has no carrier", VirtualRouterID: 51},
		{Kind: event.RealServerState, Subject: "mysql/mysql2", From: "down", To: "unknown", Code: "local", Reason: "unknown"},
		{Kind: event.VirtualServerState, Subject: "mysql", From: "up", To: "down", Reason: "no real server is up"},
		{Kind: event.VirtualServerState, Subject: "mysql", From: "down", To: "degraded", Reason: "1 of 2 real servers are up"},
		{Kind: event.ProblemRaised, Code: "loop_stalled"},
	} {
		e.Time = at
		j.Record(e)
	}
	const want = `level=INFO msg=state instance=mysql vrid=51 from=BACKUP to=MASTER reason="MASTER: no advert from 10.77.0.2 for 3.61s"
level=WARN msg=verdict server=mysql/mysql2 up=false full=false code=refused reason="down: mysql: refused (2 of 2)"
level=WARN msg=verdict server=mysql/mysql2 up=true full=true code=full reason="full: mysql"
level=INFO msg=verdict server="track gateway" up=true full=false code=ok reason="up: tcp"
level=INFO msg="BFD session" session="gateway on eth0" from=Down to=Up
level=WARN msg="BFD session" session="gateway on eth0" from=Up to=Down reason="10.77.0.1 was silent for 30ms"
level=ERROR msg="reload refused; the running configuration stays" error="cluster.yaml:1:1: version: 2 is not 1"
level=ERROR msg=state instance=mysql vrid=51 from=MASTER to=FAULT reason="FAULT: the interface eth0 has no carrier"
level=INFO msg=verdict server=mysql/mysql2 up=false full=false code=local reason=unknown
level=ERROR msg="virtual server" virtual_server=mysql from=up to=down reason="no real server is up"
level=INFO msg="virtual server" virtual_server=mysql from=down to=degraded reason="1 of 2 real servers are up"
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}
