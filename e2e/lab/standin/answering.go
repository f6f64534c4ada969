package standin

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/internal/epoll"
)

// Start starts a TCP server on the host that stands in for a real one. It sends its name in a line when a client connects,
// and again whenever it receives data. The address is "IP:port", ":3306" for all addresses of IPv4, or "[::]:3306" for all.
// Start returns when the server is listening. The server is a separate process, so that it can be killed and paused.
func Start(h *lab.Host, address, name string) *lab.Daemon {
	h.T().Helper()
	if strings.HasPrefix(address, ":") {
		address = "0.0.0.0" + address
	}
	listen, err := netip.ParseAddrPort(address)
	if err != nil {
		h.T().Fatalf("lab: answering server on %s: %q is not an address and port", h.Name, address)
	}
	return h.StartRole("answering", "answering-"+name, answeringArguments{Listen: listen, Name: name})
}

type answeringArguments struct {
	Listen netip.AddrPort
	Name   string
}

// runAnswering is a single epoll(7) loop that does not use the Go runtime's poller: in a guest every system call saved
// is time for the director under test.
func runAnswering(encoded []byte) error {
	var arguments answeringArguments
	if err := json.Unmarshal(encoded, &arguments); err != nil {
		return err
	}
	listener, err := listenOn(arguments.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", arguments.Listen, err)
	}
	poll, err := epoll.New(listener)
	if err != nil {
		return err
	}
	if err := lab.Ready(); err != nil {
		return err
	}
	answer := []byte(arguments.Name + "\n")
	events := make([]unix.EpollEvent, 64)
	buffer := make([]byte, 512)
	for {
		count, err := epoll.Wait(poll, events, -1)
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

// greet accepts one connection. epoll is level-triggered and reports the next one.
func greet(poll, listener int, answer []byte) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return // the client has closed the connection meanwhile
	}
	_, _ = unix.Write(fd, answer)
	if epoll.Add(poll, fd) != nil {
		_ = unix.Close(fd)
	}
}

func listenOn(address netip.AddrPort) (int, error) {
	family, at := lab.Sockaddr(address)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, at); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 1024)
}
