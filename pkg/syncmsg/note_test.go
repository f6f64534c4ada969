package syncmsg

import (
	"errors"
	"testing"
)

// TestNote: a note arrives as it was, a kernel takes it for a message without connections, and numbers too large are limited.
func TestNote(t *testing.T) {
	want := Note{ID: 51, Run: 0xdeadbeef, Master: true}
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

// TestParseNoteRefuses: notes of another version, and what is none.
func TestParseNoteRefuses(t *testing.T) {
	for name, at := range map[string]int{"a connection": 4, "the magic": 8, "the version": 12} {
		b := (&Note{}).Append(nil)
		b[at]++
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
