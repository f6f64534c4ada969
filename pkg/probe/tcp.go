package probe

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func (p *prober) TCP(config.TCPCheck) { p.result = TCP(p.ctx, p.target) }

// TCP connects and closes. It shows that connections are accepted on the port, not that the service works: the kernel
// accepts connections for a frozen process as well.
//
// The connection ends with a FIN, like an ordinary client's. A reset would save the director a socket in TIME_WAIT, but
// appears as an error in the logs and counters of most servers. MySQL counts both as a failed handshake and eventually
// blocks the director: use the MySQL probe there.
func TCP(ctx context.Context, t Target) Result {
	watch := start(ctx, "tcp")
	conn, err := reach(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	result := watch.good("connected")
	_ = conn.Close() // the result is known; no error of close concerns the server
	return result
}
