package guest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// line is the guest's end of the connection to the host. send may be called concurrently.
type line struct {
	mu sync.Mutex
	w  io.Writer
	r  *bufio.Reader
}

func (l *line) send(k kind, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return writeFrame(l.w, k, payload)
}

// ask requests a frame from the host and waits for it.
func (l *line) ask() (kind, []byte, error) {
	if err := l.send(kindWant, nil); err != nil {
		return 0, nil, err
	}
	return readFrame(l.r)
}

// copyOut sends everything from r to the host, until EOF.
func (l *line) copyOut(k kind, r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if l.send(k, buf[:n]) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// copyIn writes the host's input to w until EOF, or until writing fails because the reader is gone. Input stays on the
// host until copyIn asks for it.
func (l *line) copyIn(w io.WriteCloser, resize func(rows, columns uint16)) {
	defer w.Close()
	for {
		k, data, err := l.ask()
		switch {
		case err != nil:
			return
		case k == kindResize && len(data) == 4:
			resize(binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:]))
			continue
		case k != kindStdin || len(data) == 0:
			return
		}
		if _, err := w.Write(data); err != nil {
			return
		}
	}
}

// openLine opens the device for the connection to the host: a serial line, or a port of a virtio console, which appears
// some milliseconds after its driver was loaded.
func openLine(path string) (*os.File, error) {
	fd := -1
	for try := 0; ; try++ {
		var err error
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.ENOENT) || try == 1000 {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := makeRaw(fd); err != nil && !errors.Is(err, unix.ENOTTY) {
		return nil, errors.Join(fmt.Errorf("make %s raw: %w", path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// makeRaw puts a terminal into raw mode: no echo, no translation, no signals.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// drain waits until the host has read everything, because power-off discards what is still buffered. A virtio console
// port needs no drain (ENOTTY): each write to it already waits.
func drain(f *os.File) error {
	if err := unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1); err != nil && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	return nil
}
