package checker

import (
	"testing"
	"unsafe"
)

// Go allocates 480 bytes for a check that is larger, which with 4 000 checks is 128 KB.
func TestSizeOfACheck(t *testing.T) {
	if size := unsafe.Sizeof(check{}); size > 448 {
		t.Errorf("a check has %d bytes, at most 448 are wanted: put small fields beside each other", size)
	}
}
