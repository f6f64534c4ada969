package election

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestDebugLogsEveryPacket: each advert sent, received and ignored is a line, and none without --debug.
func TestDebugLogsEveryPacket(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		synctest.Test(t, func(t *testing.T) {
			var out logtest.Buffer
			l := newLAN()
			l.logTo = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
			a := l.join(t, "a", "10.77.0.2", 150)
			b := l.join(t, "b", "10.77.0.3", 100)
			time.Sleep(10 * time.Second)
			b.Deliver(vrrp.Datagram{Payload: []byte{0x31, 51}, Source: netip.MustParseAddr("10.77.0.66"), Destination: group, TTL: 64})
			synctest.Wait()
			sent, received := a.Snapshot().AdvertsSent, b.Snapshot().AdvertsReceived
			a.stop()
			b.stop()
			want := [3]int{int(sent) + 1, int(received) + 1, 1} // and the resignation
			if level == slog.LevelInfo {
				want = [3]int{}
			}
			got := [3]int{
				strings.Count(out.String(), `level=DEBUG msg="sent an advert" instance=a vrid=51 to=224.0.0.18`),
				strings.Count(out.String(), `level=DEBUG msg="received an advert" instance=b vrid=51 source=10.77.0.2 `),
				strings.Count(out.String(), `level=DEBUG msg="ignored a VRRP packet" instance=b vrid=51 reason=ttl source=10.77.0.66`),
			}
			if got != want || sent < 6 {
				t.Errorf("%s: %v lines, want %v:\n%s", level, got, want, out.String())
			}
		})
	}
}
