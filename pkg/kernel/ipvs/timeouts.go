package ipvs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Commands and attributes of the timeouts, which belong to the table of a network namespace as a whole.
const (
	cmdSetConfig = 12
	cmdGetConfig = 13

	attrTimeoutTCP    = 4
	attrTimeoutTCPFin = 5
	attrTimeoutUDP    = 6
)

// Timeouts are how long the table remembers connections without packets, in whole seconds; 0: the kernel has no such
// protocol, or with SetTimeouts, leave it unchanged.
type Timeouts struct {
	TCP    time.Duration // established
	TCPFin time.Duration // after a FIN
	UDP    time.Duration
}

// ErrTimeout: the kernel does not accept a timeout; at most INT_MAX / HZ seconds (ip_vs_set_timeout).
var ErrTimeout = errors.New("the kernel refuses this timeout")

// GetTimeouts reads the timeouts. It needs no open Table, and any goroutine may call it.
//
// Errors: ErrNoIPVS, kernel.ErrNotPermitted.
func GetTimeouts(ctx context.Context) (Timeouts, error) {
	var t Timeouts
	err := once(ctx, request{command: cmdGetConfig}, func(body []byte) error {
		attr, err := parseAttributes(body)
		seconds := func(kind uint16) time.Duration { return time.Duration(attr.u32(kind)) * time.Second }
		t = Timeouts{TCP: seconds(attrTimeoutTCP), TCPFin: seconds(attrTimeoutTCPFin), UDP: seconds(attrTimeoutUDP)}
		return err
	})
	if err != nil {
		return Timeouts{}, fmt.Errorf("ipvs: read the timeouts: %w", err)
	}
	return t, nil
}

// SetTimeouts sets the timeouts that are not 0. An existing connection gets its new timeout with its next packet.
//
// Errors: ErrNoIPVS, kernel.ErrNotPermitted, ErrTimeout.
func SetTimeouts(ctx context.Context, t Timeouts) error {
	r := request{command: cmdSetConfig}
	for kind, d := range map[int]time.Duration{attrTimeoutTCP: t.TCP, attrTimeoutTCPFin: t.TCPFin, attrTimeoutUDP: t.UDP} {
		if d != 0 {
			r.body = append(r.body, nl.NewRtAttr(kind, nl.Uint32Attr(uint32(d/time.Second))))
		}
	}
	err := once(ctx, r, func([]byte) error { return nil })
	if err == unix.EINVAL {
		err = ErrTimeout
	}
	if err != nil {
		return fmt.Errorf("ipvs: set the timeouts: %w", err)
	}
	return nil
}

// once sends one request on a socket of its own.
func once(ctx context.Context, r request, each func(body []byte) error) error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.close()
	if r.family, err = lookup(ctx, c); err != nil {
		return err
	}
	if err = c.ask(ctx, r, each); err == unix.EPERM {
		err = errNotPermitted
	}
	return err
}
