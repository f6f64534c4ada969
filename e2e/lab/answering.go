package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Answering starts a TCP server on the host that stands in for a real one: it
// says its name in a line as soon as a connection is made, and again for every
// line it gets. The address is "IP:port", or ":3306" for all addresses. It
// returns when the server listens; Kill, Pause and Resume are those of a
// process of its own.
func Answering(h *Host, address, name string) *Daemon {
	h.n.t.Helper()
	if strings.HasPrefix(address, ":") {
		address = "0.0.0.0" + address
	}
	listen, err := netip.ParseAddrPort(address)
	if err != nil || !listen.Addr().Is4() {
		h.n.t.Fatalf("lab: answering server on %s: %q is not an IPv4 address and port", h.Name, address)
	}
	d := h.startRole("answering", "answering-"+name, answeringArguments{Listen: listen, Name: name})
	d.WaitLog("^"+readyLine+"$", slowest)
	return d
}

type answeringArguments struct {
	Listen netip.AddrPort
	Name   string
}

// runAnswering is one loop around epoll(7), without the Go runtime's poller:
// in the guest every system call saved is time for the director under test.
func runAnswering(encoded []byte) error {
	var arguments answeringArguments
	if err := json.Unmarshal(encoded, &arguments); err != nil {
		return err
	}
	listener, err := listenOn(arguments.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", arguments.Listen, err)
	}
	poll, err := newPoll(listener)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(readyLine + "\n"); err != nil {
		return err
	}
	answer := []byte(arguments.Name + "\n")
	events := make([]unix.EpollEvent, 64)
	buffer := make([]byte, 512)
	for {
		count, err := wait(poll, events, -1)
		if err != nil {
			return err
		}
		for _, event := range events[:count] {
			if int(event.Fd) == listener {
				greet(poll, listener, answer)
				continue
			}
			if got, err := unix.Read(int(event.Fd), buffer); err != nil || got == 0 {
				_ = unix.Close(int(event.Fd))
				continue
			}
			_, _ = unix.Write(int(event.Fd), answer)
		}
	}
}

// greet takes one connection; epoll is level-triggered and tells of the next.
func greet(poll, listener int, answer []byte) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return // the client has gone meanwhile
	}
	_, _ = unix.Write(fd, answer)
	if watch(poll, fd) != nil {
		_ = unix.Close(fd)
	}
}

func listenOn(address netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 1024)
}

func newPoll(fds ...int) (int, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for _, fd := range fds {
		if err := watch(poll, fd); err != nil {
			return -1, err
		}
	}
	return poll, nil
}

func watch(poll, fd int) error {
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// wait is epoll_wait that a signal of the Go runtime does not end.
func wait(poll int, events []unix.EpollEvent, milliseconds int) (int, error) {
	count, err := unix.EpollWait(poll, events, milliseconds)
	if err == unix.EINTR {
		return 0, nil
	}
	return count, err
}
