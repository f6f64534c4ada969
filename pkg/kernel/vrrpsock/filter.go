package vrrpsock

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// everything is the length that a filter lets through: no packet is longer.
const everything = 0xffff

// program is a classic BPF program (Documentation/networking/filter.rst) that tells the adverts of the given virtual
// routers from all other packets: those have TTL 255 and one of the numbers. A raw socket's filter sees the packet from
// its IP header on. A packet that is too short to tell is one of the others.
func program(vrids []uint8, ours, others uint32) []unix.SockFilter {
	const (
		ttlOffset = 8
		least     = headerSize + 2 // up to the VRID
	)
	p := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: least, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ttlOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: ttl, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH}, // X: the length of the IP header
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 1},
	}
	for i, vrid := range vrids { // at most 255, which is as far as a jump goes
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(vrid), Jt: uint8(len(vrids) - i)})
	}
	return append(p,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: others},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: ours},
	)
}

// attach puts a program before the socket's queue, in the place of the one before, if any.
func attach(fd int, p []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: unsafe.SliceData(p)}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER",
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
}

// Filter says of which virtual routers (RFC 9568 section 5.2.3) the reader wants every advert. The kernel then keeps all
// other packets out of the socket's queue, where a flood of them would push the adverts out. Others gives a sample of
// them.
//
// Before the first call, and after one that failed, everything is read. An advert that comes during a change of the
// numbers may be among Others.
func (s *Socket) Filter(vrids []uint8) error {
	vrids = slices.Compact(slices.Sorted(slices.Values(vrids)))
	if err := s.filter(vrids); err != nil {
		return fmt.Errorf("filter VRRP packets on %s: %w", s.iface, translate(err))
	}
	return nil
}

func (s *Socket) filter(vrids []uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = attach(int(fd), program(vrids, everything, 0)) })
	if err != nil {
		return err
	}
	if failed == nil {
		failed = s.others.follow(s.iface, vrids)
	}
	if failed != nil { // nothing kept out is better than something kept out that nobody counts
		_ = s.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
		s.others.close()
	}
	return failed
}
