package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// everything is the accepted length that a filter returns to pass a whole packet: no packet is longer.
const everything = 0xffff

// header4: a raw socket's filter of IPv4 sees the packet from its IP header on.
func header4(leastTTL uint8, others uint32) []unix.SockFilter {
	const (
		ttlOffset = 8
		least     = headerSize + 2 // up to the VRID
	)
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: least, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ttlOffset},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: uint32(leastTTL), Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH}, // X: the length of the IP header
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 1},
	}
}

// program returns a classic BPF program (Documentation/networking/filter.rst) that distinguishes the adverts of the wanted
// virtual routers from all other packets. It returns ours or others as the accepted length. A packet that is too short counts as
// other.
func (w wire) program(want wanted, ours, others uint32) []unix.SockFilter {
	return append(w.header(want.leastTTL, others), oneOf(want.vrids, ours, others)...)
}

// oneOf is the end of a program that has loaded a VRID.
func oneOf(vrids []uint8, ours, others uint32) (p []unix.SockFilter) {
	for i, vrid := range vrids { // at most 255, the maximum jump offset
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(vrid), Jt: uint8(len(vrids) - i)})
	}
	return append(p,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: others},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: ours},
	)
}

// Filter sets the virtual routers (RFC 9568 section 5.2.3) whose adverts the reader wants, and the least TTL (IPv6: hop
// limit) that one of them accepts. The kernel then keeps all
// other packets out of the socket's queue, where a flood of them would displace the adverts. Others returns a sample of
// them.
//
// Before the first call, and after a failed one, all packets are read. An advert that arrives during a change of the
// VRIDs may be among Others.
func (s *Socket) Filter(vrids []uint8, leastTTL uint8) error {
	vrids = slices.Compact(slices.Sorted(slices.Values(vrids)))
	if err := s.filter(wanted{vrids, leastTTL}); err != nil {
		return fmt.Errorf("filter VRRP packets on %s: %w", s.iface, translate(err))
	}
	return nil
}

func (s *Socket) filter(w wanted) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filtered = w
	if s.resting.on { // the next Rest sets other filters
		s.resting.on = false
		_ = sockets.Filter(s.resting.fd, nothing)
	}
	failed := sockets.Do(s.raw, func(fd int) error { return sockets.Filter(fd, s.program(w, everything, 0)) })
	if errors.Is(failed, net.ErrClosed) {
		return failed
	}
	if failed == nil {
		failed = s.others.exclude(s.wire, s.iface, w, s.groups)
	}
	if failed != nil { // receiving everything is better than filtering out packets that are not counted
		_ = s.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
		s.others.close()
	}
	return failed
}
