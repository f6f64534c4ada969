package sockdiag

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// read returns what dump makes of a datagram with the answer to request 2.
func read(datagram []byte) (found int, done bool, err error) {
	done, err = parse(datagram, func(m message) (bool, error) {
		return listed(m, 2, func(body []byte) {
			accepting(body)
			found++
		})
	})
	return found, done, err
}

func TestParse(t *testing.T) {
	if _, _, err := read([]byte{20, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("an error of the kernel: %v", err)
	}
	if _, done, err := read([]byte{16, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}); err != nil || !done {
		t.Errorf("the end: %t, %v", done, err)
	}
	if _, done, err := read([]byte{16, 0, 0, 0, 3, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0}); err != nil || done {
		t.Errorf("the end of another list: %t, %v", done, err)
	}
	if _, _, err := read(append([]byte{87, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 10}, make([]byte, 70)...)); !errors.Is(err, errTruncated) {
		t.Errorf("half an entry: %v", err)
	}
}

// FuzzParse: no bytes make it panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{92, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 10}, make([]byte, 75)...))
	f.Fuzz(func(_ *testing.T, datagram []byte) { _, _, _ = read(datagram) })
}
