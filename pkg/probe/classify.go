package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// errnos maps the errors of connect(2), read(2) and write(2) to results. An errno that is not listed is no evidence
// about the server.
//
// EHOSTUNREACH is attributed to the server: no host answers ARP for it, or a router on the way reports it unreachable.
// health.NoNetwork is for what says that this director has no way there; health.Local for exhausted resources.
var errnos = []struct {
	errno    syscall.Errno
	code     health.Code
	class    health.Class
	sentence string
}{
	{syscall.ECONNREFUSED, health.Refused, health.Bad, "connection refused"},
	{syscall.ECONNRESET, health.Reset, health.Bad, "connection reset by the server"},
	{syscall.EPIPE, health.Reset, health.Bad, "connection closed by the server"},
	{syscall.ECONNABORTED, health.Reset, health.Bad, "connection aborted"},
	{syscall.EHOSTUNREACH, health.Unreachable, health.Bad, "no route to host (it does not answer ARP, or a router or firewall says so)"},
	{syscall.EHOSTDOWN, health.Unreachable, health.Bad, "host is down"},
	{syscall.ETIMEDOUT, health.Timeout, health.Bad, "connection timed out"},
	{syscall.ENETUNREACH, health.NoNetwork, health.Unknown, "this director has no route there (check its interfaces and routes)"},
	{syscall.ENETDOWN, health.NoNetwork, health.Unknown, "this director's network is down (check its interfaces)"},
	{syscall.EADDRNOTAVAIL, health.Local, health.Unknown, "this director has no free source port (widen net.ipv4.ip_local_port_range)"}, // of connect(2); see unusable
	{syscall.EADDRINUSE, health.Local, health.Unknown, "this director has no free source port (widen net.ipv4.ip_local_port_range)"},
	{syscall.EPERM, health.NoNetwork, health.Unknown, "a firewall on this director forbids it (check its output rules)"},
	{syscall.EACCES, health.NoNetwork, health.Unknown, "this director is not permitted to (check its firewall and route types)"},
	{syscall.EMFILE, health.Local, health.Unknown, "this director has too many open files (raise LimitNOFILE)"},
	{syscall.ENFILE, health.Local, health.Unknown, "this machine has too many open files (raise fs.file-max)"},
	{syscall.ENOBUFS, health.Local, health.Unknown, "this director has no buffer space (check its memory and neighbour table)"},
	{syscall.ENOMEM, health.Local, health.Unknown, "this director is out of memory"},
	{syscall.EAGAIN, health.Local, health.Unknown, "this director has no resources left for a connection"},
	{syscall.EAFNOSUPPORT, health.Local, health.Unknown, "this director's kernel has no such address family"},
}

// classify turns a network error into a code, a class and the rest of a sentence. limit is the time that the probe had;
// 0 if unknown.
func classify(err error, limit time.Duration) (health.Code, health.Class, string) {
	if errors.Is(err, context.Canceled) {
		return health.Local, health.Unknown, "the check was cancelled"
	}
	if errors.Is(err, errRejectedHere) {
		return health.NoNetwork, health.Unknown, "a rule of this director's own packet filter rejects it (let it pass in the chain OUTPUT: iptables -S OUTPUT, nft list ruleset)"
	}
	var between rejectedBetween
	if errors.As(err, &between) && errors.Is(err, syscall.ECONNREFUSED) {
		return health.Unreachable, health.Bad, "a router or firewall on the way rejects it: " + between.by.String()
	}
	if errors.Is(err, errRejectedThere) && errors.Is(err, syscall.EACCES) { // of ICMPv6; ICMP has EHOSTUNREACH for it
		return health.Unreachable, health.Bad, "a packet filter or route of the server, or of a router, prohibits it"
	}
	var errno syscall.Errno
	if sentence := unusable(err); sentence != "" {
		return health.NoNetwork, health.Unknown, sentence
	}
	if errors.As(err, &errno) {
		for _, e := range errnos {
			if errno == e.errno {
				return e.code, e.class, e.sentence
			}
		}
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		if limit > 0 {
			return health.Timeout, health.Bad, fmt.Sprintf("no answer within %v", nominal(limit))
		}
		return health.Timeout, health.Bad, "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return health.Reset, health.Bad, "connection closed by the server"
	default:
		return health.Local, health.Unknown, printable(err.Error(), 200)
	}
}

// unusable explains errors whose meaning depends on the system call: bind(2) reports a source address that this machine
// does not have by the error with which connect(2) reports that no port is free, and connect(2) reports a blackhole
// route as an invalid argument. "" for other errors.
func unusable(err error) string {
	var call *os.SyscallError
	switch {
	case !errors.As(err, &call):
		return ""
	case call.Syscall == "bind" && errors.Is(call.Err, syscall.EADDRNOTAVAIL):
		return "this director cannot use its source address (check that the address is configured here)"
	case call.Syscall == "connect" && errors.Is(call.Err, syscall.EINVAL):
		return "this director has a blackhole route there (check its routes)"
	default:
		return ""
	}
}

// nominal returns the configured time-out, given what was left of it when the probe began: 800ms, not 799.6ms.
func nominal(d time.Duration) time.Duration {
	if d < 100*time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
