package guest

import (
	"encoding/binary"
	"encoding/json"
	"io"
)

// feeder sends the guest its spec and its input, each time the guest asks.
type feeder struct {
	w       io.Writer
	spec    []byte
	sent    bool
	running bool
}

func newFeeder(w io.Writer, s spec) (*feeder, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return &feeder{w: w, spec: raw}, nil
}

func (f *feeder) specSent() bool { return f.sent }

func (f *feeder) sendSpec() error {
	n := min(len(f.spec), maxToGuest)
	part := f.spec[:n]
	f.spec = f.spec[n:]
	if len(f.spec) > 0 {
		return writeFrame(f.w, kindSpec, part)
	}
	f.sent = true
	return writeFrame(f.w, kindStart, part)
}

// begin reports whether the command's input starts now.
func (f *feeder) begin() bool {
	first := !f.running
	f.running = true
	return first
}

// run answers every want with input or with a new size of the terminal. Write
// errors mean that the guest is gone, which the reader of its frames notices.
func (f *feeder) run(stdin io.Reader, sizes <-chan Size, want, done <-chan struct{}) {
	input := make(chan []byte)
	go readInput(stdin, input, done)
	for {
		select {
		case <-done:
			return
		case <-want:
		}
		select {
		case <-done:
			return
		case data := <-input:
			if writeFrame(f.w, kindStdin, data) != nil || len(data) == 0 {
				return
			}
		case size := <-sizes:
			payload := binary.BigEndian.AppendUint16(nil, size.Rows)
			if writeFrame(f.w, kindResize, binary.BigEndian.AppendUint16(payload, size.Columns)) != nil {
				return
			}
		}
	}
}

// readInput delivers what stdin has, then an empty slice for its end.
func readInput(stdin io.Reader, input chan<- []byte, done <-chan struct{}) {
	for {
		buf := make([]byte, maxToGuest)
		n, err := stdin.Read(buf)
		if n > 0 {
			select {
			case input <- buf[:n]:
			case <-done:
				return
			}
		}
		if err != nil {
			select {
			case input <- nil:
			case <-done:
			}
			return
		}
	}
}
