package guest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is the type of a frame between host and guest.
type kind byte

const (
	// Guest to host.
	kindWant   kind = 'w' // the guest requests one frame
	kindStdout kind = 'o' // bytes of the command's standard output
	kindStderr kind = 'e' // bytes of the command's standard error
	kindExit   kind = 'x' // exit code of the command, 4 bytes big endian
	kindFailed kind = 'f' // the guest could not start the command; the error text

	// Host to guest, each in reply to a kindWant.
	kindSpec   kind = 's' // a part of the spec, not the last
	kindStart  kind = 'z' // the last part of the spec
	kindStdin  kind = 'i' // bytes for the command's standard input; empty = end of file
	kindResize kind = 'r' // rows and columns of the terminal, 2 bytes big endian each
)

const (
	frameHeader = 5
	// maxFrame is the largest payload in bytes; it limits what a reader allocates for a frame.
	maxFrame = 64 << 10
	// maxToGuest keeps every frame to the guest, header included, below the 4095
	// bytes that the guest's line discipline buffers (drivers/tty/n_tty.c).
	maxToGuest = 2 << 10
)

var errFrameTooLong = errors.New("frame is longer than 64 KiB")

// writeFrame writes one frame with one Write. Payloads over maxFrame are an error.
func writeFrame(w io.Writer, k kind, payload []byte) error {
	if len(payload) > maxFrame {
		return errFrameTooLong
	}
	frame := make([]byte, frameHeader, frameHeader+len(payload))
	frame[0] = byte(k)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// readFrame reads one frame. It returns io.EOF at the end of input, and io.ErrUnexpectedEOF if the input ends inside a
// frame.
func readFrame(r *bufio.Reader) (kind, []byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("frame %q: %w", header[0], errFrameTooLong)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return kind(header[0]), payload, nil
}
