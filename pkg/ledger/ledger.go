package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Ledger is the open state file; it holds the lock of its directory until Close. Its methods may be called from any
// goroutine.
//
// The methods that change it save before they return. When saving fails (a full disk) the change is remembered all the
// same, the error says so, and the next change saves everything: a daemon that must keep a service up goes on, and only
// a crash in the meantime would lose the entry.
type Ledger struct {
	dir     *os.File
	path    string
	warning string

	mu    sync.Mutex // guards what follows
	book  book
	saved bool // the file holds what the book holds
}

// ErrClosed is returned by changes after Close.
var ErrClosed = errors.New("the state directory was given up")

// Open takes the lock of a state directory, which is made if it is absent, and reads its state file. A file from another
// boot, a damaged file or none at all give an empty ledger; Warning says if something was lost. The errors are
// ErrLocked, and those of a directory that cannot be written; one without room left is taken, with a Warning.
func Open(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, unusable(dir, err)
	}
	handle, err := lock(dir)
	if err != nil {
		return nil, err
	}
	l := &Ledger{dir: handle, path: filepath.Join(dir, fileName)}
	if err := l.begin(); err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	return l, nil
}

// begin loads the file and proves at once that it can be written: finding out at the first take-over would be too late.
func (l *Ledger) begin() error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	dir := filepath.Dir(l.path)
	sweep(dir)
	l.book, l.warning = load(l.path, boot)
	switch err := l.book.save(l.path); {
	case err == nil:
		l.saved = true
	case isFull(err):
		l.warning = strings.TrimPrefix(l.warning+"; "+fmt.Sprintf("state file %s: %v: kept in memory only until there is room", l.path, err), "; ")
	default:
		return unusable(dir, err)
	}
	return nil
}

// Warning is a sentence about a state file that could not be used or saved, or "".
func (l *Ledger) Warning() string { return l.warning }

// Close gives the directory up. The file stays. Closing twice is no error.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == nil {
		return nil
	}
	err := l.dir.Close() // the lock goes with its last descriptor
	l.dir = nil
	return err
}

// Addresses are those that were put on interfaces, in order.
func (l *Ledger) Addresses() []Address {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.book.Addresses)
}

// Services are the virtual servers that were put into the IPVS table, in order.
func (l *Ledger) Services() []Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.book.Services)
}

// Sysctls are those that were changed, in the order of their keys.
func (l *Ledger) Sysctls() []Sysctl {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.book.Sysctls)
}

// SetAddresses replaces all addresses; SetAddresses(nil) forgets them.
func (l *Ledger) SetAddresses(all []Address) error {
	return l.change(func(b *book) bool { return replace(&b.Addresses, all) })
}

// RecordAddress adds addresses; those it has are no error.
func (l *Ledger) RecordAddress(more ...Address) error {
	return l.change(func(b *book) bool { return replace(&b.Addresses, append(slices.Clone(b.Addresses), more...)) })
}

// ForgetAddress drops addresses; unknown ones are no error.
func (l *Ledger) ForgetAddress(gone ...Address) error {
	return l.change(func(b *book) bool { return replace(&b.Addresses, without(b.Addresses, gone)) })
}

// SetServices replaces all services; SetServices(nil) forgets them.
func (l *Ledger) SetServices(all []Service) error {
	return l.change(func(b *book) bool { return replace(&b.Services, all) })
}

// RecordService adds services; those it has are no error.
func (l *Ledger) RecordService(more ...Service) error {
	return l.change(func(b *book) bool { return replace(&b.Services, append(slices.Clone(b.Services), more...)) })
}

// ForgetService drops services; unknown ones are no error.
func (l *Ledger) ForgetService(gone ...Service) error {
	return l.change(func(b *book) bool { return replace(&b.Services, without(b.Services, gone)) })
}

// RecordSysctl adds sysctls. Of a key that it has, the value found first stays and only the one written is renewed: what
// a restarted daemon finds is its own work, not what the machine had.
func (l *Ledger) RecordSysctl(more ...Sysctl) error {
	return l.change(func(b *book) bool { return replace(&b.Sysctls, merged(b.Sysctls, more)) })
}

// ForgetSysctl drops keys; unknown ones are no error.
func (l *Ledger) ForgetSysctl(keys ...string) error {
	return l.change(func(b *book) bool {
		kept := slices.DeleteFunc(slices.Clone(b.Sysctls), func(s Sysctl) bool { return slices.Contains(keys, s.Key) })
		return replace(&b.Sysctls, kept)
	})
}

// change applies one change and saves if there is anything to save.
func (l *Ledger) change(apply func(*book) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == nil {
		return fmt.Errorf("state file %s: %w", l.path, ErrClosed)
	}
	if !apply(&l.book) && l.saved {
		return nil
	}
	l.saved = false
	if err := l.book.save(l.path); err != nil {
		return fmt.Errorf("state file %s: %w: kept in memory only, make room or make it writable", l.path, err)
	}
	l.saved = true
	return nil
}

func bootID() (string, error) {
	const path = "/proc/sys/kernel/random/boot_id"
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("boot id: %w: is /proc mounted?", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func unusable(dir string, err error) error {
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("state directory %s: %w: make it writable for this daemon or use another --state-dir", dir, err)
	}
	return fmt.Errorf("state directory %s: %w: use another --state-dir", dir, err)
}
