package checker

import (
	"testing"
	"unsafe"
)

// Go allocates 576 bytes for a check that is larger, which with 4 000 checks is 250 KB.
func TestSizeOfACheck(t *testing.T) {
	if size := unsafe.Sizeof(check{}); size > 512 {
		t.Errorf("a check has %d bytes, at most 512 are wanted: put small fields beside each other", size)
	}
}
