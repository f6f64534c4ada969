package probe

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func (p *prober) TCP(config.TCPCheck) { p.result = TCP(p.ctx, p.target) }

// TCP connects and closes: something accepts connections on the port. It does not say that the service behind it
// works: the kernel of a frozen process still accepts.
//
// The connection ends with a FIN, the way every program's connection may end. A reset would spare the director a
// socket in TIME_WAIT, and shows up as an error in the logs and counters of most servers. No way of closing is harmless
// for MySQL, which counts both as a failed handshake and blocks the director in the end: it wants the MySQL probe.
func TCP(ctx context.Context, t Target) Result {
	watch := start(ctx, "tcp")
	conn, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	result := watch.good("connected")
	_ = conn.Close() // the answer is in; nothing that close could report concerns the server
	return result
}
