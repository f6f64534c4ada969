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

// File is the open state file; it holds the lock of its directory until Close. Its methods may be called from any
// goroutine. Those that only ask never wait for the disk, the others for 2 s at most.
//
// The methods that change it save before they return. When saving fails (a full disk) the change is remembered all the
// same, the error says so, and the next change or Keep saves everything: a daemon that must keep a service up goes on,
// and only a crash in the meantime would lose the entry. So it is with a disk that does not answer; what hangs there goes
// on behind the caller's back, and until it returns nobody else waits for it.
type File struct {
	path string

	mu      sync.Mutex // guards what follows; never held while the disk is waited for
	warning string
	content content
	changes uint64
	written uint64 // the changes that the file holds
	whole   bool   // there is a file
	closed  bool

	disk  chan struct{} // holding its one place guards what follows
	dir   *os.File      // holds the lock; nil while there is none
	file  os.FileInfo   // as it was written last; nil while what the content holds is not in it
	hangs atomic.Bool   // who holds the disk has done so for longer than anybody waits
}

// diskWithin is how long anybody waits for the disk.
const diskWithin = time.Second

// ErrClosed is returned by changes after Close.
var ErrClosed = errors.New("the state directory was given up")

// Open takes the lock of a state directory, which is made if it is absent, and reads its state file. A file from another
// boot, a damaged file or none at all give an empty state file; Warning says if something was lost. A directory that cannot be
// used gives a state file in memory; Keep says why, and tries again. So does a disk that does not answer within a second; when
// it does in the end, what its file holds is added to what happened meanwhile. The only error is ErrLocked.
func Open(dir string) (*File, error) {
	l := &File{path: filepath.Join(dir, fileName), disk: make(chan struct{}, 1), content: content{Version: version}}
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

// read takes the lock, and the state file into the content. It proves at once that the file can be written; Keep says if not.
func (l *File) read(here home) error {
	if err := l.hold(); errors.Is(err, ErrLocked) || here == (home{}) {
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

// Warning is a sentence about a state file that could not be used, or "".
func (l *File) Warning() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.warning
}

// Keep saves what could not be saved before, and restores a file or directory that somebody removed or changed. The error
// says why that is not possible, with the remedy. It is cheap when all is well, and meant to be called now and then.
func (l *File) Keep() error { return l.save(true) }

// Held says why this process does not hold the lock of the directory, nil if it does.
func (l *File) Held() error {
	return l.withDisk(l.hold)
}

// Close gives the directory up. The file stays. Closing twice is no error.
func (l *File) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.withDisk(func() error {
		if l.dir == nil {
			return nil
		}
		err := l.dir.Close() // the lock goes with its last descriptor
		l.dir = nil
		return err
	})
}

// Addresses are those that were put on interfaces, in order.
func (l *File) Addresses() []kernel.IfAddr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Addresses)
}

// Services are the virtual servers that were put into the IPVS table, in order.
func (l *File) Services() []lvs.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Services)
}

// HasService says whether a virtual server is among them.
func (l *File) HasService(key lvs.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, found := slices.BinarySearchFunc(l.content.Services, key, lvs.Key.Compare)
	return found
}

// Sysctls are those that were changed, in the order of their keys.
func (l *File) Sysctls() []Sysctl {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.Sysctls)
}

// SetAddresses replaces all addresses; SetAddresses(nil) forgets them.
func (l *File) SetAddresses(all []kernel.IfAddr) error {
	return l.change(func(b *content) bool { return replace(&b.Addresses, all, compareAddresses) })
}

// RecordAddress adds addresses; those it has are no error.
func (l *File) RecordAddress(more ...kernel.IfAddr) error {
	return l.change(func(b *content) bool {
		return replace(&b.Addresses, append(slices.Clone(b.Addresses), more...), compareAddresses)
	})
}

// ForgetAddress drops addresses; unknown ones are no error.
func (l *File) ForgetAddress(gone ...kernel.IfAddr) error {
	return l.change(func(b *content) bool { return replace(&b.Addresses, without(b.Addresses, gone), compareAddresses) })
}

// SetServices replaces all services; SetServices(nil) forgets them.
func (l *File) SetServices(all []lvs.Key) error {
	return l.change(func(b *content) bool { return replace(&b.Services, all, lvs.Key.Compare) })
}

// RecordService adds services; those it has are no error.
func (l *File) RecordService(more ...lvs.Key) error {
	return l.change(func(b *content) bool {
		return replace(&b.Services, append(slices.Clone(b.Services), more...), lvs.Key.Compare)
	})
}

// ForgetService drops services; unknown ones are no error.
func (l *File) ForgetService(gone ...lvs.Key) error {
	return l.change(func(b *content) bool { return replace(&b.Services, without(b.Services, gone), lvs.Key.Compare) })
}

// RecordSysctl adds sysctls. Of a key that it has, the value found first stays and only the one written is renewed: what
// a restarted daemon finds is its own work, not what the machine had.
func (l *File) RecordSysctl(more ...Sysctl) error {
	return l.change(func(b *content) bool { return replace(&b.Sysctls, merged(b.Sysctls, more), compareSysctls) })
}

// ForgetSysctl drops keys; unknown ones are no error.
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

// save brings the file to what the content holds. look: also when nothing was changed here, but perhaps by somebody else.
func (l *File) save(look bool) error {
	return l.withDisk(func() error { return l.write(look) })
}

// withDisk runs f when nobody else uses the disk, and waits at most diskWithin for that, and as long for f; where the disk is
// known to hang, not at all.
func (l *File) withDisk(f func() error) error {
	select {
	case l.disk <- struct{}{}:
	default:
		if l.hangs.Load() {
			return l.hanging()
		}
		select {
		case l.disk <- struct{}{}:
		case <-time.After(diskWithin):
			return l.hanging()
		}
	}
	l.hangs.Store(false)
	done := make(chan error, 1)
	spawn(func() {
		defer func() { <-l.disk }()
		done <- f()
	})
	select {
	case err := <-done:
		return err
	case <-time.After(diskWithin):
		l.hangs.Store(true)
		return l.hanging()
	}
}

// spawn is where a test has it done by its own thread.
var spawn = func(f func()) { go f() }

func (l *File) hanging() error {
	return fmt.Errorf("state file %s: the disk does not answer: kept in memory only, mend it or use another --state-dir", l.path)
}

// write is save for who has the disk.
func (l *File) write(look bool) error {
	l.mu.Lock()
	b, changes, written, closed := l.content, l.changes, l.written, l.closed // its lists are replaced, never written to
	l.mu.Unlock()
	if closed {
		return fmt.Errorf("state file %s: %w", l.path, ErrClosed)
	}
	if l.file != nil && changes == written && !(look && l.disturbed()) {
		return nil
	}
	l.file = nil
	l.saw(false, 0)
	err := l.hold()
	if err != nil {
		return fmt.Errorf("what is ours is kept in memory only: %w", err)
	}
	if err = b.save(l.path); err == nil {
		l.file, err = os.Stat(l.path)
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w: kept in memory only, make room or make it writable", l.path, err)
	}
	l.saw(true, changes)
	return nil
}

// saw takes note of what the file holds.
func (l *File) saw(whole bool, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole, l.written = whole, changes
}

// disturbed says whether the file is not the one that was written, or the directory not the one that is locked.
func (l *File) disturbed() bool {
	now, err := os.Stat(l.path)
	return err != nil || !os.SameFile(now, l.file) || now.Size() != l.file.Size() || !now.ModTime().Equal(l.file.ModTime()) || !l.inPlace()
}

// inPlace says whether the directory that is locked is the one that has the name.
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

// hold takes the lock, unless it is held. A directory that was removed is made and locked anew.
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
		_ = l.dir.Close() // of a directory that is gone
	}
	l.dir = handle
	return nil
}

func thisKernel() (home, error) {
	const path = "/proc/sys/kernel/random/boot_id"
	text, err := os.ReadFile(path)
	if err != nil {
		return home{}, fmt.Errorf("boot id: %w: is /proc mounted? What an earlier run put into the kernel is not known", err)
	}
	net, _ := os.Readlink("/proc/thread-self/ns/net") // "": a kernel without namespaces
	return home{boot: strings.TrimSpace(string(text)), net: net}, nil
}

func unusable(dir string, err error) error {
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("state directory %s: %w: make it writable for this daemon or use another --state-dir", dir, err)
	}
	return fmt.Errorf("state directory %s: %w: use another --state-dir", dir, err)
}
