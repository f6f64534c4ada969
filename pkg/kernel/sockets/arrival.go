package sockets

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stamp makes the kernel say when each packet has arrived (SO_TIMESTAMPNS in Documentation/networking/timestamping.rst).
func Stamp(fd int) error {
	return Set(fd, Option{"SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1})
}

// ArrivalSize is the size of the control message that Arrival reads, in bytes.
var ArrivalSize = unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{})))

// Arrival returns when a packet with certain control messages arrived at this host, since 1970 on the wall clock: 0 if none of them
// says so.
func Arrival(oob []byte) time.Duration {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			at := *(*unix.Timespec)(unsafe.Pointer(&data[0]))
			return time.Duration(at.Nano())
		}
		oob = rest
	}
	return 0
}
