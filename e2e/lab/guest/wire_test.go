package guest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type frame struct {
	Kind    kind
	Payload []byte
}

func readAll(raw []byte) ([]frame, error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	frames := []frame{}
	for {
		k, payload, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame{k, payload})
	}
}

func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(func(t *rapid.T) frame {
			return frame{kind(rapid.Byte().Draw(t, "kind")), rapid.SliceOf(rapid.Byte()).Draw(t, "payload")}
		})).Draw(t, "frames")
		var buf bytes.Buffer
		for _, f := range want {
			if err := writeFrame(&buf, f.Kind, f.Payload); err != nil {
				t.Fatal(err)
			}
		}
		got, err := readAll(buf.Bytes())
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %d of %d frames, %v", len(got), len(want), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func TestFramesThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"header cut", []byte{'o', 0, 0}, io.ErrUnexpectedEOF},
		{"payload missing", []byte{'o', 0, 0, 0, 2}, io.ErrUnexpectedEOF},
		{"payload cut", []byte{'o', 0, 0, 0, 2, 1}, io.ErrUnexpectedEOF},
		{"too long", []byte{'o', 0, 1, 0, 1}, errFrameTooLong},
		{"absurdly long", []byte{'o', 255, 255, 255, 255}, errFrameTooLong},
	} {
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(tt.raw))); !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := writeFrame(io.Discard, kindStdout, make([]byte, maxFrame+1)); !errors.Is(err, errFrameTooLong) {
		t.Errorf("write: error = %v, want %v", err, errFrameTooLong)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{'x', 0, 0, 0, 4, 0, 0, 0, 3})
	f.Add([]byte{'o', 0, 0, 0, 9, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		frames, err := readAll(raw)
		var again bytes.Buffer
		for _, f := range frames {
			if err := writeFrame(&again, f.Kind, f.Payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(raw, again.Bytes()) || (err == nil && again.Len() != len(raw)) {
			t.Fatalf("% x was re-encoded as % x (%v)", raw, again.Bytes(), err)
		}
	})
}

// TestFeederSendsTheSpecInSmallParts: the feeder sends one frame per request, small enough that the guest's serial line
// does not drop it.
func TestFeederSendsTheSpecInSmallParts(t *testing.T) {
	s := spec{Command: []string{"true"}, Env: []string{"BIG=" + string(bytes.Repeat([]byte("x"), 3*maxToGuest))}}
	var sent bytes.Buffer
	f, err := newFeeder(&sent, s)
	if err != nil {
		t.Fatal(err)
	}
	var requests int
	for !f.specSent() {
		before := sent.Len()
		if err := f.sendSpec(); err != nil {
			t.Fatal(err)
		}
		if n := sent.Len() - before; n == 0 || n > maxToGuest+frameHeader {
			t.Fatalf("%d bytes for one request", n)
		}
		requests++
	}
	if requests != 4 {
		t.Errorf("%d parts, want 4", requests)
	}
	l := &line{w: io.Discard, r: bufio.NewReader(&sent)}
	got, err := l.readSpec()
	if diff := cmp.Diff(s, got); err != nil || diff != "" {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
}
