package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// File is an open state file. It holds the lock of its directory until Close. Its methods may be called from any
// goroutine. Those that only read never wait for the disk, the others for at most 2 s.
//
// The methods that change it save before they return. If saving fails (a full disk), the change is kept in memory, the
// error says so, and the next change or Keep saves everything: the daemon continues to serve, and only a crash before
// then loses the entry. The same applies if the disk does not respond; the pending operation continues in the
// background, and until it returns no other call waits for the disk.
type File struct {
	path string

	mu      sync.Mutex // guards the following fields; never held during disk operations
	warning string
	content content
	changes uint64
	written uint64 // the value of changes that the file contains
	whole   bool   // the file was written
	closed  bool

	disk  chan struct{} // semaphore of capacity 1 that guards the following fields
	dir   *os.File      // holds the lock; nil while there is none
	file  os.FileInfo   // as last written; nil while it does not have the current content
	hangs atomic.Bool   // the current disk operation has exceeded the timeout

	// A test has other ones: a real disk may be busy for longer, and the permissions of a file are those of a thread.
	timeout time.Duration
	spawn   func(func())
}

// diskTimeout is how long a call waits for the disk.
const diskTimeout = time.Second

// ErrClosed is returned by changes after Close.
var ErrClosed = errors.New("the state directory is closed")

// Open locks a state directory, which is created if it is absent, and reads its state file. If the file is missing,
// damaged or from another boot, the state is empty; Warning says whether something was lost. If the directory cannot be
// used or the disk does not respond within a second, the state is kept in memory; Keep returns the reason and tries
// again. When the disk responds later, the content of its file is merged with the changes made meanwhile. The only
// error is ErrLocked.
func Open(dir string) (*File, error) {
	return open(dir, diskTimeout, func(f func()) { go f() })
}

func open(dir string, timeout time.Duration, spawn func(func())) (*File, error) {
	l := &File{
		path: filepath.Join(dir, fileName), disk: make(chan struct{}, 1), content: content{Version: version},
		timeout: timeout, spawn: spawn,
	}
	here, err := thisKernel()
	if err != nil {
		l.warning = err.Error()
	} else {
		l.content.BootID, l.content.Net = here.boot, here.net
	}
	if err := l.withDisk(func() error { return l.read(here) }); errors.Is(err, ErrLocked) {
		return nil, err
	}
	return l, nil
}

// read takes the lock and loads the state file. It writes the file at once to find out whether that works; if not, Keep
// returns the reason.
func (l *File) read(here origin) error {
	if err := l.hold(); errors.Is(err, ErrLocked) || here == (origin{}) {
		return err
	}
	if l.dir != nil {
		sweep(filepath.Dir(l.path))
	}
	found, warning := load(l.path, here)
	l.mu.Lock()
	if found.add(l.content) {
		l.changes++
	}
	l.content, l.warning = found, warning
	l.mu.Unlock()
	return l.write(false)
}

// Warning returns a sentence about a state file that could not be used, or "".
func (l *File) Warning() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.warning
}

// Keep saves what could not be saved before, and restores a file or directory that another process removed or changed.
// The error says why that is not possible, with the remedy. Keep is cheap if there is nothing to do, and should be
// called periodically.
func (l *File) Keep() error { return l.save(true) }

// Held returns why this process does not hold the lock of the directory; nil if it does.
func (l *File) Held() error {
	return l.withDisk(l.hold)
}

// Close releases the lock of the directory. The file stays. Closing twice is not an error.
func (l *File) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.withDisk(func() error {
		if l.dir == nil {
			return nil
		}
		err := l.dir.Close() // this releases the lock
		l.dir = nil
		return err
	})
}

// Addresses returns the addresses that were put on interfaces, sorted.
func (l *File) Addresses() []kernel.IfAddr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Addresses)
}

// Services returns the virtual servers that were put into the IPVS table, sorted.
func (l *File) Services() []lvs.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Services)
}

// HasService reports whether Services contains a virtual server.
func (l *File) HasService(key lvs.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, found := slices.BinarySearchFunc(l.content.Services, key, lvs.Key.Compare)
	return found
}

// Sysctls returns the parameters that were changed, sorted by key.
func (l *File) Sysctls() []Sysctl {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Sysctls)
}

// SetAddresses replaces all addresses; SetAddresses(nil) removes them.
func (l *File) SetAddresses(all []kernel.IfAddr) error {
	return l.change(func(b *content) bool { return replace(&b.Addresses, all, compareAddresses) })
}

// RecordAddress adds addresses; those already recorded are ignored.
func (l *File) RecordAddress(more ...kernel.IfAddr) error {
	return l.change(func(b *content) bool {
		return replace(&b.Addresses, append(slices.Clone(b.Addresses), more...), compareAddresses)
	})
}

// ForgetAddress removes addresses; unknown ones are ignored.
func (l *File) ForgetAddress(gone ...kernel.IfAddr) error {
	return l.change(func(b *content) bool { return replace(&b.Addresses, without(b.Addresses, gone), compareAddresses) })
}

// SetServices replaces all services; SetServices(nil) removes them.
func (l *File) SetServices(all []lvs.Key) error {
	return l.change(func(b *content) bool { return replace(&b.Services, all, lvs.Key.Compare) })
}

// RecordService adds services; those already recorded are ignored.
func (l *File) RecordService(more ...lvs.Key) error {
	return l.change(func(b *content) bool {
		return replace(&b.Services, append(slices.Clone(b.Services), more...), lvs.Key.Compare)
	})
}

// ForgetService removes services; unknown ones are ignored.
func (l *File) ForgetService(gone ...lvs.Key) error {
	return l.change(func(b *content) bool { return replace(&b.Services, without(b.Services, gone), lvs.Key.Compare) })
}

// RecordSysctl adds sysctls. For a key that is already recorded only Wrote is updated: what a restarted daemon finds is
// its own value, not that of the machine.
func (l *File) RecordSysctl(more ...Sysctl) error {
	return l.change(func(b *content) bool { return replace(&b.Sysctls, merged(b.Sysctls, more), compareSysctls) })
}

// ForgetSysctl removes keys; unknown ones are ignored.
func (l *File) ForgetSysctl(keys ...string) error {
	return l.change(func(b *content) bool {
		kept := slices.DeleteFunc(slices.Clone(b.Sysctls), func(s Sysctl) bool { return slices.Contains(keys, s.Key) })
		return replace(&b.Sysctls, kept, compareSysctls)
	})
}

// change applies one change and saves if there is anything to save.
func (l *File) change(apply func(*content) bool) error {
	l.mu.Lock()
	if apply(&l.content) {
		l.changes++
	}
	saved := l.whole && l.written == l.changes && !l.closed
	l.mu.Unlock()
	if saved {
		return nil
	}
	return l.save(false)
}

// save writes the content to the file if it was changed. look: also if another process changed the file.
func (l *File) save(look bool) error {
	return l.withDisk(func() error { return l.write(look) })
}

// withDisk runs f while no other operation uses the disk. It waits at most the timeout for that and as long again for
// f; if the disk is known to hang, it does not wait.
func (l *File) withDisk(f func() error) error {
	select {
	case l.disk <- struct{}{}:
	default:
		if l.hangs.Load() {
			return l.diskError()
		}
		select {
		case l.disk <- struct{}{}:
		case <-time.After(l.timeout):
			return l.diskError()
		}
	}
	l.hangs.Store(false)
	done := make(chan error, 1)
	l.spawn(func() {
		defer func() { <-l.disk }()
		done <- f()
	})
	select {
	case err := <-done:
		return err
	case <-time.After(l.timeout):
		l.hangs.Store(true)
		return l.diskError()
	}
}

func (l *File) diskError() error {
	return fmt.Errorf("state file %s: the disk does not answer: kept in memory only, repair it or use another --state-dir", l.path)
}

// write is save for a caller that has acquired the disk.
func (l *File) write(look bool) error {
	l.mu.Lock()
	b, changes, written, closed := l.content, l.changes, l.written, l.closed // safe to share: its lists are replaced, never modified
	l.mu.Unlock()
	if closed {
		return fmt.Errorf("state file %s: %w", l.path, ErrClosed)
	}
	if l.file != nil && changes == written && !(look && l.changedOutside()) {
		return nil
	}
	l.file = nil
	l.setSaved(false, 0)
	err := l.hold()
	if err != nil {
		return fmt.Errorf("the state is kept in memory only: %w", err)
	}
	if err = b.save(l.path); err == nil {
		l.file, err = os.Stat(l.path)
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w: kept in memory only, make room or make it writable", l.path, err)
	}
	l.setSaved(true, changes)
	return nil
}

// setSaved records which changes the file contains.
func (l *File) setSaved(whole bool, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole, l.written = whole, changes
}

// changedOutside reports whether the file is not the one last written, or the directory not the locked one.
func (l *File) changedOutside() bool {
	now, err := os.Stat(l.path)
	return err != nil || !os.SameFile(now, l.file) || now.Size() != l.file.Size() || !now.ModTime().Equal(l.file.ModTime()) || !l.inPlace()
}

// inPlace reports whether the path still refers to the locked directory.
func (l *File) inPlace() bool {
	if l.dir == nil {
		return false
	}
	held, err := l.dir.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(filepath.Dir(l.path))
	return err == nil && os.SameFile(held, named)
}

// hold takes the lock unless it is already held. A directory that was removed is created and locked again.
func (l *File) hold() error {
	if l.inPlace() {
		return nil
	}
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return unusable(dir, err)
	}
	handle, err := lock(dir)
	if err != nil {
		return err
	}
	if l.dir != nil {
		_ = l.dir.Close() // of a removed directory
	}
	l.dir = handle
	return nil
}

func thisKernel() (origin, error) {
	const path = "/proc/sys/kernel/random/boot_id"
	text, err := os.ReadFile(path)
	if err != nil {
		return origin{}, fmt.Errorf("boot id: %w: is /proc mounted? The changes that an earlier run made to the kernel are not known", err)
	}
	net, _ := os.Readlink("/proc/thread-self/ns/net") // "" on a kernel without network namespaces
	return origin{boot: strings.TrimSpace(string(text)), net: net}, nil
}

func unusable(dir string, err error) error {
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("state directory %s: %w: make it writable for this daemon or use another --state-dir", dir, err)
	}
	return fmt.Errorf("state directory %s: %w: use another --state-dir", dir, err)
}
