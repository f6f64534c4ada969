package syncmsg

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// TestNote: a note arrives as it was, a kernel takes it for a message without connections, and numbers too large are limited.
func TestNote(t *testing.T) {
	want := Note{ID: 51, Run: 0xdeadbeef, Master: true}
	want.Reading, want.Begun, want.Ended, want.Settled = 7, 3*time.Second, 2500*time.Millisecond, time.Minute
	want.Held[0], want.Held[127], want.Others[5], want.Others[6] = 1, 2, 65535, 70000
	b := want.Append([]byte("x"))[1:]
	if len(b) != NoteSize || NoteSize > 1024 {
		t.Errorf("%d bytes, want %d, less than 1024", len(b), NoteSize)
	}
	want.Others[6] = 65535
	if got, err := ParseNote(b); err != nil || *got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got := want.Held.Total(); got != 3 {
		t.Errorf("total %d", got)
	}
	if m, err := Parse(b); err != nil || len(m.Connections) != 0 || m.ID != 51 {
		t.Errorf("for a kernel: %+v, %v", m, err)
	}
}

// TestNoteUncounted: a director that does not know its connections says so, and nothing of them.
func TestNoteUncounted(t *testing.T) {
	n := Note{ID: 51, Run: 3, Master: true, Uncounted: true}
	b := n.Append(nil)
	if got, err := ParseNote(b); err != nil || *got != n {
		t.Errorf("%+v, %v", got, err)
	}
	if m, err := Parse(b); err != nil || len(m.Connections) != 0 {
		t.Errorf("for a kernel: %+v, %v", m, err)
	}
}

// TestOlderNote: one of a director that does not say when it read its connections.
func TestOlderNote(t *testing.T) {
	n := Note{ID: 51, Master: true, Reading: 7, Begun: time.Second}
	n.Held[1] = 4
	b := n.Append(nil)[:NoteSize-noteTimes]
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	got, err := ParseNote(b)
	if err != nil || got.Held[1] != 4 || got.Reading != 0 || got.Begun != 0 || got.Ended != 0 || got.Settled != 5*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestParseNoteRefuses: notes of another version, and what is none.
func TestParseNoteRefuses(t *testing.T) {
	for name, at := range map[string]int{"a connection": 4, "the magic": 8, "the kind": 12} {
		b := (&Note{}).Append(nil)
		b[at] += 2
		if _, err := ParseNote(b); !errors.Is(err, ErrNoNote) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseNote((&Note{}).Append(nil)[:NoteSize-1]); !errors.Is(err, errSize) {
		t.Error(err)
	}
	empty, _ := Message{ID: 3}.Append(nil)
	if _, err := ParseNote(empty); !errors.Is(err, ErrNoNote) {
		t.Error(err)
	}
}
