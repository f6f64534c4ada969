package guest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// runInit is the life of a guest's first process: it builds the file tree, runs
// the command the host asks for, and powers the guest off. It returns only when
// powering off fails.
func runInit() error {
	if err := serve(); err != nil {
		// The kernel's console is all that is left to complain on.
		fmt.Fprintln(os.Stderr, "lab guest:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	return nil
}

// serve talks to the host over the first serial line.
func serve() error {
	host, err := openLine("/dev/ttyS0")
	if err != nil {
		return err
	}
	defer host.Close()
	l := &line{w: host, r: bufio.NewReader(host)}
	s, err := l.readSpec()
	if err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	code, err := runSpec(l, s)
	if err != nil {
		return errors.Join(err, l.send(kindFailed, []byte(err.Error())), drain(host))
	}
	return errors.Join(l.send(kindExit, binary.BigEndian.AppendUint32(nil, uint32(code))), drain(host))
}

func runSpec(l *line, s spec) (int, error) {
	if err := buildRoot(s); err != nil {
		return 0, fmt.Errorf("build the guest's file tree: %w", err)
	}
	if err := prepareKernel(); err != nil {
		return 0, fmt.Errorf("prepare the guest's kernel: %w", err)
	}
	code, err := runCommand(l, s)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", s.Command[0], err)
	}
	if err := releaseWritable(s); err != nil {
		return 0, fmt.Errorf("write results back: %w", err)
	}
	return code, nil
}

// line is the guest's end of the serial line. Sends may be concurrent.
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

// ask tells the host that the guest is ready for a frame and waits for it.
func (l *line) ask() (kind, []byte, error) {
	if err := l.send(kindWant, nil); err != nil {
		return 0, nil, err
	}
	return readFrame(l.r)
}

func (l *line) readSpec() (spec, error) {
	var raw []byte
	for {
		k, part, err := l.ask()
		if err != nil {
			return spec{}, err
		}
		raw = append(raw, part...)
		if k == kindStart {
			break
		}
		if k != kindSpec {
			return spec{}, fmt.Errorf("unexpected frame %q", byte(k))
		}
	}
	var s spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return spec{}, err
	}
	if len(s.Command) == 0 {
		return spec{}, errors.New("no command")
	}
	return s, nil
}

// copyOut sends what r delivers until its end.
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

// copyIn hands the host's input to w until its end, or until nobody reads it.
// Whatever the host has, it waits on the host's side until this asks for it.
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

// openLine opens a serial line for bytes: no echo, no translation, no signals.
func openLine(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := makeRaw(int(f.Fd())); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s raw: %w", path, err), f.Close())
	}
	return f, nil
}

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

// drain waits until the host has taken everything: power-off drops the rest.
func drain(f *os.File) error {
	return unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1)
}

// prepareKernel gives the kernel its name, its loopback and its modules.
func prepareKernel() error {
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	// ip_vs at once, because programs look for /proc/net/ip_vs; the kernel loads
	// schedulers, link types and rules by itself when they are asked for.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/sbin/modprobe", "-a", "ip_vs", "veth", "bridge", "dummy").CombinedOutput()
	if err != nil {
		return fmt.Errorf("modprobe: %w: %s", err, out)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// lookPath finds a program in the PATH of env, as a shell with that environment
// would.
func lookPath(name, dir string, env []string) (string, error) {
	if filepath.Base(name) != name {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return exec.LookPath(name)
	}
	for _, e := range env {
		if value, ok := cutEnv(e, "PATH"); ok {
			for _, d := range filepath.SplitList(value) {
				if !filepath.IsAbs(d) {
					continue
				}
				if p, err := exec.LookPath(filepath.Join(d, name)); err == nil {
					return p, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}
