package packets

import "golang.org/x/sys/unix"

// snapped is how many bytes of a packet the kernel copies.
const snapped = 512

// recorded is a classic BPF program for packets that begin with their network header. It keeps the data of connections out of the
// socket; headers decides about the rest.
func recorded() []unix.SockFilter {
	const etherType = 1<<32 - 0x1000 // SKF_AD_OFF + SKF_AD_PROTOCOL (linux/filter.h)
	load := func(size uint16, at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | size | unix.BPF_ABS, K: at}
	}
	jump := func(kind uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | kind | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ipHeader := unix.SockFilter{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH}
	return []unix.SockFilter{
		load(unix.BPF_W, etherType),
		jump(unix.BPF_JEQ, unix.ETH_P_ARP, 23, 0),
		jump(unix.BPF_JEQ, unix.ETH_P_IP, 1, 0),
		jump(unix.BPF_JEQ, unix.ETH_P_IPV6, 11, 20),
		load(unix.BPF_B, 9), // 4: IPv4
		jump(unix.BPF_JEQ, unix.IPPROTO_TCP, 1, 0),
		jump(unix.BPF_JEQ, unix.IPPROTO_UDP, 3, 18),
		ipHeader, // 7
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 13},
		jump(unix.BPF_JSET, 0x07, 15, 14),
		load(unix.BPF_B, 16), // 10
		jump(unix.BPF_JGE, 0xe0, 13, 0),
		ipHeader,
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
		jump(unix.BPF_JEQ, bfdPort, 10, 9),
		load(unix.BPF_B, 6), // 15: IPv6
		jump(unix.BPF_JEQ, unix.IPPROTO_TCP, 1, 0),
		jump(unix.BPF_JEQ, unix.IPPROTO_UDP, 2, 7),
		load(unix.BPF_B, ipv6Size+13), // 18
		jump(unix.BPF_JSET, 0x07, 5, 4),
		load(unix.BPF_B, 24), // 20
		jump(unix.BPF_JEQ, 0xff, 3, 0),
		load(unix.BPF_H, ipv6Size+2),
		jump(unix.BPF_JEQ, bfdPort, 1, 0),
		{Code: unix.BPF_RET | unix.BPF_K, K: 0}, // 24
		{Code: unix.BPF_RET | unix.BPF_K, K: snapped},
	}
}
