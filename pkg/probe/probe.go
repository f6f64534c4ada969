package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Result is the outcome of a probe.
type Result = health.Result

// Target is what a probe is pointed at.
type Target struct {
	Address netip.AddrPort
	// Kind is what to ask there; Make reads it, single probes have it as their argument.
	Kind config.CheckKind
	// Source is the address to connect from; the zero value leaves the choice to the kernel. A director gives its own
	// address here, for a VIP must never be a source: the answer could go to the other director.
	Source netip.Addr
	// Password is the secret of a probe that logs in, and User its account. An empty password is one. Make takes the account
	// from Kind.
	User, Password string
}

// Make makes the check that t is for. ctx has its deadline.
func Make(ctx context.Context, t Target) Result {
	if t.Kind == nil {
		return Result{Code: health.Local, Cause: "nothing to ask"}
	}
	p := prober{ctx: ctx, target: t}
	t.Kind.Probe(&p)
	return p.result
}

// prober is the config.Prober of Make: it has a method for each kind of check, in the file of the kind.
type prober struct {
	ctx    context.Context // of the one call of Make that it lives for
	target Target
	result Result
}

// stopwatch times one probe and builds its results.
type stopwatch struct {
	check   string // "mysql"
	started time.Time
	limit   time.Duration // from the context's deadline; 0 without one
}

func start(ctx context.Context, check string) stopwatch {
	w := stopwatch{check: check, started: time.Now()}
	if deadline, ok := ctx.Deadline(); ok {
		w.limit = deadline.Sub(w.started)
	}
	return w
}

// result is a result whose cause is the check's name and a sentence.
func (w stopwatch) result(code health.Code, class health.Class, sentence string) Result {
	return Result{Code: code, Class: class, Cause: w.check + ": " + sentence, Took: time.Since(w.started)}
}

// good is a result whose cause is a verb and how long it took: "mysql: answered in 3ms".
func (w stopwatch) good(verb string) Result {
	took := time.Since(w.started)
	r := Result{Code: health.OK, Class: health.Good, Took: took}
	r.Cause = w.check + ": " + verb + " in " + round(took).String()
	return r
}

// failed is the result of an error that happened while doing something with a server ("dial", "greeting from").
func (w stopwatch) failed(doing string, target netip.AddrPort, err error) Result {
	code, class, sentence := classify(err, w.limit)
	return w.result(code, class, doing+" "+target.String()+": "+sentence)
}

// round leaves two or three digits: 1.23456ms tells no more than 1.2ms.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}

// errOtherFamily is a source that no packet to the target can have.
var errOtherFamily = errors.New("the source address is not of the target's family")

// errNoAddress keeps a missing address from being looked up as a name.
var errNoAddress = errors.New("no address to check")

func dial(ctx context.Context, t Target) (net.Conn, error) {
	if !t.Address.IsValid() {
		return nil, errNoAddress
	}
	if t.Source.IsValid() && kernel.FamilyOf(t.Source) != kernel.FamilyOf(t.Address.Addr()) {
		return nil, errOtherFamily
	}
	d := net.Dialer{KeepAlive: -1} // a probe ends long before a keepalive would be sent
	if t.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.Source, 0))
		d.Control = lateBind
	}
	return d.DialContext(ctx, "tcp", t.Address.String())
}

// lateBind makes bind(2) choose the address only and leaves the port to connect(2), where one port serves any number
// of servers. Without it the probes of all servers share one set of 28 000 ports, each lost for 60 s of TIME_WAIT.
func lateBind(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// printable makes what a server sent fit for a log line: no control characters, a bounded length.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
