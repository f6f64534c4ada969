package lab

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tunnel makes an interface of the kind "tun" or "tap" on two hosts, which is up, and carries what is sent on one of them to the
// other until the test ends, as a VPN program does.
func Tunnel(kind, device string, a, b *Host) {
	a.n.t.Helper()
	ends := [2]*os.File{}
	for number, h := range []*Host{a, b} {
		h.Run("modprobe", "tun")
		if err := h.InNetwork(func() (err error) {
			ends[number], err = openTunnel(kind, device)
			return err
		}); err != nil {
			h.n.t.Fatalf("lab: make the %s %s of %s: %v", kind, device, h.Name, err)
		}
		h.Run("ip", "link", "set", device, "up")
	}
	done := make(chan error, 2)
	carry := func(to, from *os.File) {
		var err error
		for packet := make([]byte, 1<<16); err == nil; {
			var n int
			if n, err = from.Read(packet); err == nil {
				if _, err = to.Write(packet[:n]); errors.Is(err, unix.EIO) { // the other end is down
					err = nil
				}
			}
		}
		done <- err
	}
	go carry(ends[0], ends[1])
	go carry(ends[1], ends[0])
	a.n.t.Cleanup(func() {
		for _, end := range ends {
			_ = end.Close() // the interface goes with it
		}
		<-done
		<-done
	})
}

// openTunnel opens one end, in the network namespace of the calling thread (Documentation/networking/tuntap.rst).
func openTunnel(kind, device string) (*os.File, error) {
	flags := map[string]uint16{"tun": unix.IFF_TUN, "tap": unix.IFF_TAP}[kind]
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(device)
	if err == nil {
		ifr.SetUint16(flags | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("TUNSETIFF", err)
	}
	return os.NewFile(uintptr(fd), device), nil
}
