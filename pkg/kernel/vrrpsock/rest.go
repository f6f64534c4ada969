package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// rest is what a Socket needs for Rest. The Go runtime wakes up for each packet in the queue of a socket that it polls, even if
// nobody waits for it. So the packets that may wait go to a second socket, which it does not poll.
//
// It is guarded by the Socket's lock, whose holder may wait for the kernel. Neither Pending nor Wake must wait for that.
type rest struct {
	reading sync.Mutex // held by Pending, and while fd changes
	fd      int        // of the second socket; 0: not open
	on      bool
	awake   []uint8 // if it is on

	woken atomic.Bool // by Wake, and Rest has not returned since
}

// Rest blocks for a time, or until a packet has arrived that should not wait: a resignation, or any packet of the virtual routers
// awake. It reads nothing: Pending does, also what has arrived meanwhile, with the time for which each datagram has waited. It
// also returns after Wake. It is meant for a reader of many virtual routers who need not be woken for each of their adverts.
//
// Errors: net.ErrClosed, kernel.ErrNoInterface, and those of Open. After an error the socket receives as before.
func (s *Socket) Rest(longest time.Duration, awake []uint8) error {
	if err := s.rest(longest, awake); err != nil {
		return fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, translate(err))
	}
	return nil
}

func (s *Socket) rest(longest time.Duration, awake []uint8) error {
	now := time.Now()
	if s.checkDue(now) {
		if err := sockets.SameInterface(s.raw, s.iface, s.index); err != nil {
			return err
		}
	}
	if err := s.lieDown(awake); err != nil {
		return errors.Join(err, s.getUp())
	}
	s.until = time.Time{} // the deadline is not that of Wait
	if err := s.conn.SetReadDeadline(now.Add(longest)); err != nil {
		return err
	}
	if s.resting.woken.Swap(false) { // before the deadline was set, or else it ends the wait
		return nil
	}
	err := s.awaitPacket()
	s.resting.woken.Store(false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// Wake ends the Rest that is in progress, or the next one. It does not block.
func (s *Socket) Wake() {
	s.resting.woken.Store(true)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // it is closed, or this works
}

// lieDown makes packets that may wait go to the second socket. While the filters change, a packet may go to both, and none is
// lost.
func (s *Socket) lieDown(awake []uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.resting
	if r.on && slices.Equal(r.awake, awake) {
		return nil
	}
	if err := s.getUpLocked(); err != nil {
		return err
	}
	if r.fd == 0 {
		if err := s.openSecond(); err != nil {
			return err
		}
	}
	if err := sockets.Filter(r.fd, s.urgent(s.filtered, awake, 0, everything)); err != nil {
		return err
	}
	if err := s.attachFirst(s.urgent(s.filtered, awake, everything, 0)); err != nil {
		return err
	}
	r.on, r.awake = true, slices.Clone(awake)
	return nil
}

// getUp makes all packets go to the first socket again.
func (s *Socket) getUp() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.getUpLocked()
}

func (s *Socket) getUpLocked() error {
	r := &s.resting
	if !r.on {
		return nil
	}
	if err := s.attachFirst(s.program(s.filtered, everything, 0)); err != nil {
		return err
	}
	r.on = false
	return sockets.Filter(r.fd, nothing)
}

// nothing is a filter that passes no packet.
var nothing = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

func (s *Socket) attachFirst(p []unix.SockFilter) error {
	return sockets.Do(s.raw, func(fd int) error { return sockets.Filter(fd, p) })
}

// openSecond opens the second socket as a member of the groups, and asks the kernel for the times at which packets arrive.
func (s *Socket) openSecond() error {
	if err := sockets.Do(s.raw, sockets.Stamp); err != nil { // first, because it finds out whether the socket is closed
		return err
	}
	ifi, err := net.InterfaceByName(s.iface)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(s.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = sockets.Filter(fd, nothing)
	if err == nil {
		err = s.configure(fd, ifi)
	}
	if err == nil {
		err = sockets.Stamp(fd)
	}
	for _, group := range s.groups {
		if err == nil {
			err = s.join(fd, s.index, group)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	s.resting.reading.Lock()
	defer s.resting.reading.Unlock()
	s.resting.fd = fd
	return nil
}

// urgent returns a BPF program for the adverts of the wanted virtual routers: it returns now for resignations and for all adverts
// of the virtual routers awake, and later for the others; 0 for all other packets.
func (w wire) urgent(want wanted, awake []uint8, now, later uint32) []unix.SockFilter {
	p := w.header(want.leastTTL, 0)
	for _, vrid := range awake {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(vrid), Jf: 1}, result(now))
	}
	rest := slices.DeleteFunc(slices.Clone(want.vrids), func(v uint8) bool { return slices.Contains(awake, v) })
	for i, vrid := range rest { // over the others, and the result for none of them
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(vrid), Jt: uint8(len(rest) - i)})
	}
	return append(p, result(0), w.priority,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 1}, result(now), result(later))
}

func result(length uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: length}
}

func (r *rest) close() {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.fd != 0 {
		_ = unix.Close(r.fd) // nothing is written to it
		r.fd, r.on = 0, false
	}
}
