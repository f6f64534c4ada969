package probe

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// Commands of the protocol with their headers (COM_QUIT, COM_PING).
var (
	quitCommand = []byte{1, 0, 0, 0, 1}
	pingCommand = []byte{1, 0, 0, 0, 14}
)

// limitIdle keeps the server from closing the connection earlier than after some pings, and lets it close the connection of
// a director that is gone. It needs no privilege.
const limitIdle = "SET SESSION wait_timeout = 60"

// holdMySQL logs in and then sends COM_PING every 10 s, until the connection ends. When until ends it sends COM_QUIT, so that
// the server does not count an aborted client.
//
// After the login the driver is let go: it would keep two goroutines and 10 KB for each server, and none of its messages is
// needed for a ping.
func holdMySQL(ctx, until context.Context, t *Target, limit time.Duration, opened func()) Result {
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watch := start(dialing, "mysql")
	held := &talk{
		asks: limitIdle + " on", answer: smallAnswer,
		ask: func(session driver.Conn) error {
			_, err := session.(driver.ExecerContext).ExecContext(context.Background(), limitIdle, nil)
			return err
		},
		stay: func(w *wire) Result {
			opened()
			return heldMySQL{w, watch, t, limit}.stay(until)
		},
	}
	return held.hold(dialing, watch, t)
}

// heldMySQL is a connection after its login.
type heldMySQL struct {
	*wire
	watch *stopwatch
	t     *Target
	limit time.Duration // of the answer to a ping
}

// stay pings until the connection or until ends.
func (h heldMySQL) stay(until context.Context) Result {
	h.stage, h.asks = query, "COM_PING on"
	ended := make(chan struct{})
	release := context.AfterFunc(until, func() {
		defer close(ended)
		_ = h.Conn.SetDeadline(time.Unix(1, 0))
	})
	defer release()
	for {
		err := await(until, h.Conn, func() error { _, err := h.in.Peek(1); return err })
		if err == nil { // it speaks without being asked: it says why it closes
			if err = h.answer(); err == nil {
				err = errUnasked
			}
		} else if until.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded) {
			err = h.ping(until)
		}
		switch {
		case until.Err() != nil:
			if !release() {
				<-ended // or it would set its deadline after this one
			}
			_ = h.Conn.SetDeadline(time.Now().Add(quitTimeout))
			if _, err := h.Conn.Write(quitCommand); err == nil {
				drainClosed(h.Conn, h.in, h.most.total)
			}
			return h.watch.ended(h.t.Address, until.Err())
		case err != nil:
			return h.ended(err)
		}
	}
}

// errUnasked: the server says OK although it was not asked, which no server does, so it may do that for ever.
var errUnasked = fmt.Errorf("%w: an answer to nothing", errNotMySQL)

// ping asks for a sign of life.
func (h heldMySQL) ping(until context.Context) error {
	if err := h.Conn.SetDeadline(time.Now().Add(h.limit)); err != nil {
		return err
	}
	if until.Err() != nil {
		return until.Err()
	}
	if _, err := h.Conn.Write(pingCommand); err != nil {
		return err
	}
	return h.answer()
}

// errSpoke is the number and text of an error that the server sent.
type errSpoke struct {
	number uint16
	text   string
}

func (e errSpoke) Error() string { return fmt.Sprintf("Error %d: %s", e.number, e.text) }

// answer reads a packet, which is an error unless it is OK.
func (h heldMySQL) answer() error {
	h.total, h.columns, h.packet = 0, 0, nil
	if err := h.next(); err != nil {
		return err
	}
	payload := h.packet[4:]
	h.packet = nil
	switch payload[0] {
	case 0x00:
		return nil
	case 0xff: // checked by soundError
		text := payload[3:]
		if len(text) > 0 && text[0] == '#' {
			text = text[6:]
		}
		return errSpoke{binary.LittleEndian.Uint16(payload[1:]), printable(string(text), 200)}
	default:
		return errNotMySQL
	}
}

// ended is the result of a connection that the server or the network has ended.
func (h heldMySQL) ended(err error) Result {
	doing := "kept connection to " + h.t.Address.String() + ": "
	var spoke errSpoke
	switch {
	case errors.As(err, &spoke):
		code, _, _ := judge(spoke.number)
		if code != health.Shutdown { // what counts is that it ends
			code = health.Reset
		}
		return h.watch.result(code, health.Bad, doing+err.Error())
	case errors.Is(err, errNotMySQL):
		return h.watch.result(health.Protocol, health.Unknown, doing+printable(err.Error(), 200))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h.watch.result(health.Timeout, health.Bad, doing+fmt.Sprintf("no answer to COM_PING within %v", nominal(h.limit)))
	}
	return h.watch.ended(h.t.Address, err)
}
