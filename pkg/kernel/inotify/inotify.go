package inotify

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// events are the changes that matter to a reader of files.
const events = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ATTRIB |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// Watcher watches directories. It may be used by several goroutines.
type Watcher struct {
	file    *os.File
	done    chan struct{}
	changed func(path string)

	mu    sync.Mutex // guards the fields below
	dirs  map[string]int32
	names map[int32]string
}

// Open opens a watcher without directories. It calls changed, from a goroutine of its own, with the path of each entry
// that has changed, that of a directory that is gone, and "" when changes may have been lost. The caller closes it.
func Open(changed func(path string)) (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", os.NewSyscallError("inotify_init1", err))
	}
	w := &Watcher{
		file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), changed: changed,
		dirs: map[string]int32{}, names: map[int32]string{},
	}
	go w.run()
	return w, nil
}

// Watch watches a directory; a second call for it does nothing while it is there. It may block as long as a look-up in
// its file system does.
func (w *Watcher) Watch(dir string) error {
	w.mu.Lock()
	_, known := w.dirs[dir]
	w.mu.Unlock()
	if known {
		return nil
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	var descriptor int
	var failed error
	if err := raw.Control(func(fd uintptr) { descriptor, failed = unix.InotifyAddWatch(int(fd), dir, events) }); err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	if failed != nil {
		return fmt.Errorf("watch %s: %w", dir, os.NewSyscallError("inotify_add_watch", failed))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirs[dir], w.names[int32(descriptor)] = int32(descriptor), dir
	return nil
}

// Close ends the watcher and waits for its goroutine.
func (w *Watcher) Close() error {
	err := w.file.Close()
	<-w.done
	return err
}

func (w *Watcher) run() {
	defer close(w.done)
	var b [16 << 10]byte
	for {
		n, err := w.file.Read(b[:])
		if err != nil {
			return // closed
		}
		for rest := b[:n]; len(rest) > 0; {
			var e event
			var ok bool
			if e, rest, ok = parse(rest); !ok {
				break
			}
			w.handle(e)
		}
	}
}

func (w *Watcher) handle(e event) {
	w.mu.Lock()
	dir, known := w.names[e.descriptor]
	// A directory that was moved away is still watched under its old name; it is forgotten, so that the next one with the
	// name can be.
	if known && e.mask&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 {
		delete(w.names, e.descriptor)
		delete(w.dirs, dir)
	}
	w.mu.Unlock()
	switch {
	case e.mask&unix.IN_Q_OVERFLOW != 0:
		w.changed("")
	case known && e.name != "":
		w.changed(dir + "/" + e.name)
	case known:
		w.changed(dir)
	}
}

// event is a struct inotify_event.
type event struct {
	descriptor int32
	mask       uint32
	name       string
}

// parse returns the first event of a buffer, and the rest.
func parse(b []byte) (e event, rest []byte, ok bool) {
	if len(b) < unix.SizeofInotifyEvent {
		return event{}, nil, false
	}
	e.descriptor = int32(binary.NativeEndian.Uint32(b))
	e.mask = binary.NativeEndian.Uint32(b[4:])
	size := uint64(binary.NativeEndian.Uint32(b[12:]))
	b = b[unix.SizeofInotifyEvent:]
	if size > uint64(len(b)) {
		return event{}, nil, false
	}
	name := b[:size]
	for n, c := range name {
		if c == 0 {
			name = name[:n]
			break
		}
	}
	e.name = string(name)
	return e, b[size:], true
}
