package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Host is a machine of the lab. It has its own network stack, hostname and /sys, and shares the file tree with the
// other hosts. `lo` is up.
type Host struct {
	Name  string
	n     *Network
	ns    *namespace
	links []*Link
}

// Host creates a machine whose interfaces eth0, eth1, … are plugged into the given switch ports, in that order. The
// name becomes its hostname.
func (n *Network) Host(name string, ports ...Attachment) *Host {
	n.t.Helper()
	ns, err := n.namespace(name)
	if err != nil {
		n.t.Fatalf("lab: %v", err)
	}
	h := &Host{Name: name, n: n, ns: ns}
	n.hosts = append(n.hosts, h)
	inside := []string{"link set lo up"}
	var outside []string
	for i, port := range ports {
		l := &Link{host: h, bridge: port.bridge, Device: fmt.Sprintf("eth%d", i), port: n.newPort(name), addresses: port.addresses}
		h.links = append(h.links, l)
		outside = append(outside, l.create(ns.path, port.mac())...)
		for _, prefix := range port.addresses {
			inside = append(inside, fmt.Sprintf("addr add %s dev %s", prefix, l.Device))
		}
		inside = append(inside, "link set "+l.Device+" up")
	}
	if len(outside) > 0 {
		n.batch(n.switchNS, outside...)
	}
	n.batch(ns, inside...)
	return h
}

// newPort returns a name for the switch's end of a link, at most 15 bytes long as interface names must be.
func (n *Network) newPort(host string) string {
	n.ports++
	return fmt.Sprintf("p%d-%.11s", n.ports, host)
}

// T returns the test that the host's network belongs to.
func (h *Host) T() T { return h.n.t }

// Network returns the network that the host belongs to.
func (h *Host) Network() *Network { return h.n }

// InNetwork runs a function of this process in the host's network namespace. The function may block and open sockets
// there; goroutines that it starts run in the test's own namespace.
func (h *Host) InNetwork(job func() error) error { return h.ns.inNet(job) }

// Processes returns the ids of the processes in the host's network namespace.
func (h *Host) Processes() []int { return h.ns.processes() }

// Link returns the link of the named interface.
func (h *Host) Link(device string) *Link {
	h.n.t.Helper()
	for _, l := range h.links {
		if l.Device == device {
			return l
		}
	}
	h.n.t.Fatalf("lab: %s has no interface %s", h.Name, device)
	return nil
}

// Address returns the first IPv4 address that the host was created with.
func (h *Host) Address() netip.Addr {
	h.n.t.Helper()
	for _, l := range h.links {
		for _, prefix := range l.addresses {
			if prefix.Addr().Is4() {
				return prefix.Addr()
			}
		}
	}
	h.n.t.Fatalf("lab: %s has no IPv4 address", h.Name)
	return netip.Addr{}
}

// Path returns a path below the host's own directory (for its state directory, sockets, files). The parent of the path
// exists.
func (h *Host) Path(elements ...string) string {
	h.n.t.Helper()
	path := filepath.Join(append([]string{h.n.dir, h.Name}, elements...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	return path
}

// Run executes a command on the host and returns its standard output. It fails the test if the command fails or takes
// more than 30 s.
func (h *Host) Run(argv ...string) string {
	h.n.t.Helper()
	out, err := h.Try(argv...)
	if err != nil {
		h.n.t.Fatalf("%v", err)
	}
	return out
}

// Try is Run for commands that may fail: it returns the standard output and an error that has the exit code (see
// ExitCode) and the standard error.
func (h *Host) Try(argv ...string) (string, error) {
	out, err := execute(h.ns, "", argv...)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Name, err)
	}
	return out, err
}

// ExitCode returns the exit code from an error of Try: 0 for nil, 128 plus the signal for a killed command, -1 for a
// command that could not be started.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitCode(exit.ProcessState)
	}
	return -1
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// execute runs one short command, forked by the namespace's thread.
func execute(ns *namespace, stdin string, argv ...string) (string, error) {
	ctx, cancel := withDeadline()
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for its remaining output; a child may keep the pipe open
	err := ns.do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("still running after %s", toolDeadline)
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w: %s", quoted(argv), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Sysctl sets a kernel parameter of the host by its dotted name, or by its path below /proc/sys (needed if an interface
// name has dots).
func (h *Host) Sysctl(name, value string) {
	h.n.t.Helper()
	err := h.ns.do(func() error { return os.WriteFile(sysctlPath(name), []byte(value), 0o644) })
	if err != nil {
		h.n.t.Fatalf("lab: sysctl %s on %s: %v", name, h.Name, err)
	}
}

// SysctlValue returns a kernel parameter of the host, without the newline.
func (h *Host) SysctlValue(name string) string {
	h.n.t.Helper()
	return strings.TrimSpace(h.ReadFile(sysctlPath(name)))
}

// ReadFile reads a file as the host sees it: /proc/net, /proc/sys and /sys are those of the host.
func (h *Host) ReadFile(path string) string {
	h.n.t.Helper()
	var content []byte
	err := h.ns.do(func() (err error) {
		// /proc/net is /proc/self/net, which is that of the main thread.
		if rest, ok := strings.CutPrefix(path, "/proc/net/"); ok {
			path = "/proc/thread-self/net/" + rest
		}
		content, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		h.n.t.Fatalf("lab: on %s: %v", h.Name, err)
	}
	return string(content)
}

func sysctlPath(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return filepath.Join("/proc/sys", name)
}

// Gateway makes addr the host's default route.
func (h *Host) Gateway(addr string) {
	h.n.t.Helper()
	h.n.batch(h.ns, "route replace default via "+addr)
}

// Dial connects from the host. The address must be an IP literal.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := h.ns.inNet(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// HostsFile gives the host its own /etc/hosts and no name servers: any other name fails to resolve immediately.
func (h *Host) HostsFile(content string) {
	h.n.t.Helper()
	h.SystemFile("/etc/hosts", content)
	h.SystemFile("/etc/resolv.conf", "")
}

// SystemFile shows the processes of the host a file of its own in place of one of the machine.
func (h *Host) SystemFile(path, content string) {
	h.n.t.Helper()
	h.replace(path, h.n.File(h.Name+"-"+filepath.Base(path), content))
}

// replace shows one file in place of another to the processes of the host.
func (h *Host) replace(target, source string) {
	h.n.t.Helper()
	if err := os.Chmod(source, 0o644); err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	// A bind mount in the host's own mount namespace.
	if err := h.ns.do(func() error { return unix.Mount(source, target, "", unix.MS_BIND, "") }); err != nil {
		h.n.t.Fatalf("lab: %s of %s: %v", target, h.Name, err)
	}
}
