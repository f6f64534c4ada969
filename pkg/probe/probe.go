package probe

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// Result is the outcome of a probe.
type Result = health.Result

// Target is the target of a probe. It is passed by pointer: a copy in each function would make the stack of a probe that waits twice as
// large.
type Target struct {
	Address netip.AddrPort
	// Kind is the kind of check to make. Only Make reads it.
	Kind config.CheckKind
	// Source is the address to connect from; the zero value leaves the choice to the kernel. A director sets its own
	// address, because a VIP must never be the source: the answer could go to the other director.
	Source netip.Addr
	// Mark is the firewall mark of the probe's packets; 0: none. It needs CAP_NET_ADMIN.
	Mark uint32
	// From is config.Check.Source, from which a director chooses Source. Make does not read it.
	From string
	// User and Password are the credentials of a probe that logs in. An empty password is valid. Make takes User from
	// Kind.
	User, Password string
	// Authorities and Certificate are the contents (PEM) of the files of config.Certified.
	Authorities, Certificate string
	// Trace receives what the probe does; nil: nothing.
	Trace *Trace
}

func (t *Target) log(format string, args ...any) { t.Trace.Add(format, args...) }

// Means are what probes need from other packages. A kind whose function is missing gives no result.
type Means struct {
	// Run runs the command of a check of a target, which is invalid for a check of none, until ctx ends.
	Run func(ctx context.Context, t *Target, c config.CommandCheck) Result
	// Resolve asks a neighbour for its hardware address until ctx ends.
	Resolve func(ctx context.Context, source, target netip.Addr) (hardware string, err error)
}

// Make makes the check described by t. ctx carries its deadline. It sets t.User.
func Make(ctx context.Context, t *Target) Result { return Means{}.Make(ctx, t) }

// Make makes the check described by t. ctx carries its deadline. It sets t.User.
func (m Means) Make(ctx context.Context, t *Target) Result {
	if t.Kind == nil {
		return Result{Code: health.Local, Cause: "no kind of check"}
	}
	p := prober{ctx: ctx, target: t, means: m}
	t.Kind.Probe(&p)
	return p.result
}

// Unsent is the result of a check that cannot be sent because of err: the kernel has no route, or this host no address
// to send from.
func Unsent(t *Target, err error) Result {
	watch := start(context.Background(), string(t.Kind.Type()))
	var errno syscall.Errno
	if errors.Is(err, syscall.EHOSTUNREACH) { // of a look-up of the route, which no other host can answer
		return watch.result(health.NoNetwork, health.Unknown, "dial "+t.Address.String()+": this director has an unreachable route there (check its routes)")
	}
	if errors.As(err, &errno) {
		return watch.failed("dial", t.Address, err)
	}
	return watch.result(health.NoNetwork, health.Unknown, "dial "+t.Address.String()+": "+err.Error())
}

// prober is the config.Prober of Make. It has a method for each kind of check, in the file of that kind.
type prober struct {
	ctx    context.Context // of the call of Make that it belongs to
	target *Target
	means  Means
	result Result
}

// stopwatch times one probe and builds its results.
type stopwatch struct {
	check   string // "mysql"
	started time.Time
	limit   time.Duration // from the context's deadline; 0 without one
}

func start(ctx context.Context, check string) *stopwatch {
	w := &stopwatch{check: check, started: time.Now()}
	if deadline, ok := ctx.Deadline(); ok {
		w.limit = deadline.Sub(w.started)
	}
	return w
}

// result returns a result whose cause is the check's name and a sentence.
func (w *stopwatch) result(code health.Code, class health.Class, sentence string) Result {
	return Result{Code: code, Class: class, Cause: w.check + ": " + sentence, Took: time.Since(w.started)}
}

// good returns a good result whose cause is a verb and the duration: "mysql: answered in 3ms".
func (w *stopwatch) good(verb string) Result {
	took := time.Since(w.started)
	r := Result{Code: health.OK, Class: health.Good, Took: took}
	r.Cause = w.check + ": " + verb + " in " + round(took).String()
	return r
}

// failed returns the result of an error in a step of the check ("dial", "greeting from").
func (w *stopwatch) failed(doing string, target netip.AddrPort, err error) Result {
	code, class, sentence := classify(err, w.limit)
	return w.result(code, class, doing+" "+target.String()+": "+sentence)
}

// round leaves two or three significant digits.
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

// printable makes a server's text suitable for a log line: without control characters and of limited length.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
