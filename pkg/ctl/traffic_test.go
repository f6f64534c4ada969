package ctl

import "testing"

func TestBytesOf(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0B", 999: "999B", 1000: "1.0kB", 1549: "1.5kB", 9949: "9.9kB", 9950: "10kB", 999_499: "999kB", 999_500: "1.0MB",
		12_345_678: "12MB", 5_000_000_000: "5.0GB", ^uint64(0): "18447PB",
	} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
