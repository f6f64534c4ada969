package measure

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/internal/epoll"
)

// A tcpClient is the measuring client's process: one thread with an epoll(7) loop, seven system calls per attempt.
type tcpClient struct {
	arguments arguments
	poll      int
	family    int
	target    unix.Sockaddr
	open      map[int]int64 // socket -> start in µs
	order     []started     // in order of start; may contain sockets that are closed already
	out       bytes.Buffer
	flushed   int64
	buffer    []byte
}

type started struct {
	fd int
	at int64
}

const flushEvery = 100_000 // µs

// runTCP measures until EOF on standard input, then waits for the open attempts.
func runTCP(encoded []byte) error {
	a, err := decode(encoded)
	if err != nil {
		return err
	}
	// Late attempts would falsify the figures. The client uses little CPU. The kernel has a priority for each thread, so the loop
	// must stay on this one.
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -10)
	poll, err := epoll.New(int(os.Stdin.Fd()))
	if err != nil {
		return err
	}
	c := &tcpClient{
		arguments: a,
		poll:      poll,
		open:      map[int]int64{},
		buffer:    make([]byte, 512),
	}
	c.family, c.target = lab.Sockaddr(a.Target)
	if err := lab.Ready(); err != nil {
		return err
	}
	return c.run()
}

func (c *tcpClient) run() error {
	every := c.arguments.Every.Microseconds()
	events := make([]unix.EpollEvent, 64)
	next := monotonic()
	for stopping := false; !stopping || len(c.open) > 0; {
		now := monotonic()
		if !stopping && now >= next {
			c.start(now)
			next += (1 + (now-next)/every) * every // skips missed ticks
			now = monotonic()
		}
		c.expire(now)
		if now-c.flushed >= flushEvery {
			if err := c.flush(now); err != nil {
				return err
			}
		}
		count, err := epoll.Wait(c.poll, events, c.untilDue(now, next, stopping))
		if err != nil {
			return err
		}
		for _, event := range events[:count] {
			if event.Fd == int32(os.Stdin.Fd()) {
				stopping = true
				_ = unix.EpollCtl(c.poll, unix.EPOLL_CTL_DEL, int(event.Fd), nil)
				continue
			}
			c.read(int(event.Fd))
		}
	}
	return c.flush(0)
}

// untilDue returns the time in ms until something is due.
func (c *tcpClient) untilDue(now, next int64, stopping bool) int {
	due := now + flushEvery
	if !stopping {
		due = min(due, next)
	}
	if len(c.order) > 0 {
		due = min(due, c.order[0].at+c.arguments.Timeout.Microseconds())
	}
	return int(max(0, due-now+999) / 1000)
}

func (c *tcpClient) start(now int64) {
	fd, err := unix.Socket(c.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.end(now, err.Error(), "")
		return
	}
	if !c.arguments.Graceful {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if err := unix.Connect(fd, c.target); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		c.end(now, cause(err), "")
		return
	}
	// The server sends first, so one wake-up reports both the connection and the answer.
	if err := epoll.Add(c.poll, fd); err != nil {
		_ = unix.Close(fd)
		c.end(now, err.Error(), "")
		return
	}
	c.open[fd] = now
	c.order = append(c.order, started{fd: fd, at: now})
}

// read reads the answer, or the error.
func (c *tcpClient) read(fd int) {
	at, ok := c.open[fd]
	if !ok {
		return
	}
	count, err := unix.Read(fd, c.buffer)
	if err == unix.EAGAIN {
		return
	}
	delete(c.open, fd)
	_ = unix.Close(fd)
	switch {
	case err != nil:
		c.end(at, cause(err), "")
	case count == 0:
		c.end(at, "closed", "")
	default:
		c.end(at, "", firstLine(c.buffer[:count]))
	}
}

// expire times out the attempts that are older than Options.Timeout.
func (c *tcpClient) expire(now int64) {
	patience := c.arguments.Timeout.Microseconds()
	for len(c.order) > 0 {
		oldest := c.order[0]
		at, open := c.open[oldest.fd]
		open = open && at == oldest.at // the descriptor may have been reused
		if open && now-oldest.at < patience {
			return
		}
		if open {
			delete(c.open, oldest.fd)
			_ = unix.Close(oldest.fd)
			c.end(oldest.at, "timeout", "")
		}
		c.order = c.order[1:]
	}
}

func (c *tcpClient) end(start int64, failure, server string) {
	fmt.Fprintf(&c.out, "a %d %d %s %s\n", start, monotonic()-start, word(failure), word(server))
}

func (c *tcpClient) flush(now int64) error {
	c.flushed = now
	if c.out.Len() == 0 {
		return nil
	}
	_, err := os.Stdout.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

// cause returns the word for a socket error.
func cause(err error) string {
	switch err {
	case unix.ECONNREFUSED:
		return "refused"
	case unix.ECONNRESET:
		return "reset"
	case unix.EHOSTUNREACH, unix.ENETUNREACH:
		return "unreachable"
	case unix.ETIMEDOUT:
		return "timeout"
	default:
		return err.Error()
	}
}

// word returns text with dashes for spaces, "-" for "".
func word(text string) string {
	if text == "" {
		return "-"
	}
	return strings.ReplaceAll(text, " ", "-")
}

// firstLine returns the server's name. A real MySQL server sends a packet instead: its fifth byte is the protocol
// version 10, followed by the server version.
func firstLine(answer []byte) string {
	if len(answer) > 5 && answer[4] == 10 {
		version, _, _ := bytes.Cut(answer[5:], []byte{0})
		return "mysql:" + string(version)
	}
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	return string(bytes.TrimSpace(line))
}
