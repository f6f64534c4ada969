package guest

import (
	"encoding/binary"
	"encoding/json"
	"io"
)

// feeder sends the guest its spec and then its input, one frame per request.
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

// answer sends what the guest has asked for: the spec first, input afterwards. It does not wait for input: in receives a
// request, of which one may be pending, and done ends the goroutine that serves them.
func (f *feeder) answer(o Options, in chan struct{}, done <-chan struct{}) error {
	if !f.specSent() {
		return f.sendSpec()
	}
	if f.begin() {
		go f.run(o.Stdin, o.Sizes, in, done)
	}
	select {
	case in <- struct{}{}:
	default:
	}
	return nil
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

// begin reports whether it was called for the first time: then the command's input starts.
func (f *feeder) begin() bool {
	first := !f.running
	f.running = true
	return first
}

// run answers every request with input or with a new terminal size. It ignores write errors: they mean that the guest
// is gone, which the reader of its frames reports.
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

// readInput sends the data of stdin to input, then an empty slice for EOF.
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
