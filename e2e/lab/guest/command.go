package guest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// runCommand starts the command, copies its streams, and returns its exit code (128+n if signal n ended it). Processes
// that the command left behind are killed.
func runCommand(l *line, s spec) (int, error) {
	// The program is looked up in the command's PATH, not in that of this process.
	path, err := lookPath(s.Command[0], s.Dir, s.Env)
	if err != nil {
		return 0, err
	}
	var streams streams
	if s.Terminal {
		err = streams.openTerminal(s.Rows, s.Columns)
	} else {
		err = streams.openPipes()
	}
	if err != nil {
		return 0, err
	}
	p, err := os.StartProcess(path, s.Command, &os.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: streams.child[:],
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: s.Terminal},
	})
	if err != nil {
		return 0, err
	}
	streams.closeChild()
	go l.copyIn(streams.in, streams.resize)
	var copies sync.WaitGroup
	for k, r := range streams.out {
		copies.Go(func() { l.copyOut(k, r) })
	}
	code := reapUntil(p.Pid)
	// Daemons that it left behind would keep the streams open for ever.
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("kill the processes that the command left behind: %w", err)
	}
	copies.Wait()
	return code, nil
}

// reapUntil reaps children, as process 1 must, until the process pid has ended, and returns its exit code.
func reapUntil(pid int) int {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 255
		case got != pid:
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}

// streams are both ends of a command's standard input, output and error.
type streams struct {
	child  [3]*os.File
	in     *os.File
	out    map[kind]*os.File
	resize func(rows, columns uint16)
}

func (s *streams) openPipes() error {
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	errR, errW, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	s.child = [3]*os.File{inR, outW, errW}
	s.in = inW
	s.out = map[kind]*os.File{kindStdout: outR, kindStderr: errR}
	s.resize = func(uint16, uint16) {}
	return nil
}

// openTerminal creates a pseudo-terminal. The master end carries both directions.
func (s *streams) openTerminal(rows, columns uint16) error {
	ptm, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	fd := int(ptm.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	pts, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	// Two descriptors: ending the input must not close the output.
	dup, err := unix.Dup(fd)
	if err != nil {
		return err
	}
	s.child = [3]*os.File{pts, pts, pts}
	s.in = os.NewFile(uintptr(dup), "/dev/ptmx")
	s.out = map[kind]*os.File{kindStdout: ptm}
	s.resize = func(rows, columns uint16) {
		// A wrong terminal size is not worth failing for.
		_ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if rows > 0 && columns > 0 {
		s.resize(rows, columns)
	}
	return nil
}

func (s *streams) closeChild() {
	for _, f := range s.child {
		f.Close() // a terminal is in the list three times; the later closes fail, which is harmless
	}
}

// cutEnv returns the value of entry if it sets key.
func cutEnv(entry, key string) (string, bool) {
	name, value, ok := strings.Cut(entry, "=")
	return value, ok && name == key
}
