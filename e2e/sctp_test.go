package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// answerSCTP answers each association on an address and port of the host with the name of the host, until the test ends.
func answerSCTP(t *testing.T, h *lab.Host, address string, port int) {
	t.Helper()
	var fd int
	err := h.InNetwork(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP); err != nil {
			return fmt.Errorf("an SCTP socket: %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(address).As4(), Port: port}); err != nil {
			return err
		}
		return unix.Listen(fd, 16)
	})
	if err != nil {
		t.Fatalf("lab: %s: %v", h.Name, err)
	}
	go func() { // it ends with the process of the scenario
		for {
			conn, _, err := unix.Accept(fd)
			if err != nil {
				return
			}
			_, _ = unix.Write(conn, []byte(h.Name+"\n"))
			_ = unix.Close(conn)
		}
	}()
	t.Cleanup(func() {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		_ = unix.Close(fd)
	})
}

// askSCTP returns what a server says in a new association.
func askSCTP(h *lab.Host, address string, port int) (answer string, err error) {
	err = h.InNetwork(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		limit := unix.NsecToTimeval(sctpPatience.Nanoseconds())
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
			return err
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(address).As4(), Port: port}); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		buffer := make([]byte, 64)
		n, err := unix.Read(fd, buffer)
		answer = strings.TrimSpace(string(buffer[:max(n, 0)]))
		return err
	})
	return answer, err
}
