package lab

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A namespace is a network, UTS and mount namespace that exists as long as the OS thread that created it. Processes are
// forked by that thread, so that they start inside the namespace and so that PDEATHSIG, which the kernel ties to the
// parent *thread* (prctl(2)), is sent exactly when the namespace is closed or the test process dies.
type namespace struct {
	path string // path of the network namespace, for `ip link ... netns PATH`
	id   string // "net:[4026532000]", the target of the link /proc/PID/ns/net
	net  *os.File
	jobs chan func()
	done chan struct{}
}

func newNamespace(hostname string) (*namespace, error) {
	ns := &namespace{jobs: make(chan func()), done: make(chan struct{})}
	entered := make(chan error)
	go ns.runThread(hostname, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("create the namespaces of %s: %w (the lab needs root and CONFIG_NET_NS)", hostname, err)
	}
	return ns, nil
}

// runThread is the body of the namespace's thread. It never unlocks the thread, so the Go runtime ends the thread, and
// with it the namespaces, together with this goroutine.
func (ns *namespace) runThread(hostname string, entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The runtime cannot end the main thread. Do not use it, and block it until another thread has been taken.
		elsewhere := make(chan error)
		go ns.runThread(hostname, elsewhere)
		err := <-elsewhere
		runtime.UnlockOSThread()
		entered <- err
		return
	}
	defer close(ns.done)
	if err := ns.enter(hostname); err != nil {
		entered <- err
		return
	}
	entered <- nil
	for job := range ns.jobs {
		job()
	}
	_ = ns.net.Close()
}

func (ns *namespace) enter(hostname string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	// /sys shows the network namespace it was mounted from; give the host its own.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	ns.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	file, err := os.Open(ns.path)
	if err != nil {
		return err
	}
	ns.net = file
	ns.id, err = os.Readlink(ns.path)
	return err
}

// do runs a short, non-blocking job on the namespace's thread.
func (ns *namespace) do(job func() error) error {
	result := make(chan error, 1)
	ns.jobs <- func() { result <- job() }
	return <-result
}

// inNet runs a job that may block (a dial) in the network namespace on a separate thread, so that the namespace's
// thread stays free.
func (ns *namespace) inNet(job func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			result <- err
			return
		}
		defer home.Close()
		if err := unix.Setns(int(ns.net.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		err = job()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // otherwise the runtime ends the thread with this goroutine
		}
		result <- err
	}()
	return <-result
}

// processes returns the processes in the network namespace, without the test itself.
func (ns *namespace) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil && id == ns.id {
			found = append(found, pid)
		}
	}
	return found
}

// close ends the thread. The kernel then kills what the thread forked and, after the last process, removes the links.
// Calling it twice panics.
func (ns *namespace) close() {
	close(ns.jobs)
	<-ns.done
}
