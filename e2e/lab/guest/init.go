package guest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// runInit is the main function of a guest's first process: it builds the file tree, runs the command that the host
// sends, and powers the guest off. It returns only if power-off fails.
func runInit() error {
	if err := serve(); err != nil {
		// Only the kernel's console is left to report on.
		fmt.Fprintln(os.Stderr, "lab guest:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	return nil
}

// serve connects to the host over the device named on the kernel command line, and runs the host's command.
func serve() error {
	if err := loadBootModules(); err != nil {
		return err
	}
	host, err := openLine(os.Getenv(lineMarker))
	if err != nil {
		return err
	}
	defer host.Close()
	l := &line{w: host, r: bufio.NewReader(host)}
	s, err := l.readSpec()
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
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

// prepareKernel sets the host name, brings up the loopback interface and loads modules.
func prepareKernel() error {
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	// Load ip_vs now because programs look for /proc/net/ip_vs; the kernel loads schedulers, link types and rules on
	// demand. There is no deadline here: the guest's clock may jump while it waits for the host, so the host limits the
	// time (Options.Timeout).
	out, err := exec.Command("/sbin/modprobe", "-a", "ip_vs", "veth", "bridge", "dummy").CombinedOutput()
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

// lookPath finds a program as a shell with this environment would.
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
