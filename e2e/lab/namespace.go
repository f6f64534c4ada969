package lab

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A namespace is a network, UTS and mount namespace that lives as long as the
// OS thread that made it. Processes are forked by that thread, so they are
// born inside, and so that PDEATHSIG, which the kernel ties to the parent
// *thread* (prctl(2)), fires exactly when the namespace is closed or the
// whole test process dies.
type namespace struct {
	path string // of the network namespace, for `ip link ... netns PATH`
	id   string // "net:[4026532000]", as /proc/PID/ns/net reads in it
	net  *os.File
	jobs chan func()
	done chan struct{}
}

func newNamespace(hostname string) (*namespace, error) {
	ns := &namespace{jobs: make(chan func()), done: make(chan struct{})}
	entered := make(chan error)
	go ns.hold(hostname, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("make the namespaces of %s: %w (the lab needs root and CONFIG_NET_NS)", hostname, err)
	}
	return ns, nil
}

// hold is the life of the thread. It never unlocks it: the Go runtime then
// ends the thread together with this goroutine, and with it the namespaces.
func (ns *namespace) hold(hostname string, entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The runtime cannot end the process's first thread: leave it alone,
		// and keep it busy until another one has been taken.
		elsewhere := make(chan error)
		go ns.hold(hostname, elsewhere)
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

// do runs a short job on the thread of the namespace.
func (ns *namespace) do(job func() error) error {
	result := make(chan error, 1)
	ns.jobs <- func() { result <- job() }
	return <-result
}

// inNet runs a job that may wait (a dial) in the network namespace, on a
// thread of its own, so that the holding thread stays free.
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
			runtime.UnlockOSThread() // else the thread ends here, which is as good
		}
		result <- err
	}()
	return <-result
}

// processes are those in the network namespace, the test itself left out.
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

// close ends the thread; the kernel kills what it forked and, with the last
// process gone, takes the links away. Calling it twice is a fault of the lab.
func (ns *namespace) close() {
	close(ns.jobs)
	<-ns.done
}
