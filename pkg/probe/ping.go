package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func (p *prober) Ping(config.PingCheck) { p.result = Ping(p.ctx, p.target) }

// Ping sends an ICMP echo request (RFC 792, RFC 4443 section 4.1) and waits for the reply. It shows that a host or router
// can be reached and answers, not that it forwards. It needs CAP_NET_RAW.
func Ping(ctx context.Context, t *Target) Result {
	watch := start(ctx, "ping")
	if err := echo(ctx, t); err != nil {
		code, class, sentence := classify(err, watch.limit)
		return watch.result(code, class, t.Address.Addr().String()+": "+sentence)
	}
	return watch.good(t.Address.Addr().String() + " answered")
}

// echo returns nil if the target has answered.
func echo(ctx context.Context, t *Target) error {
	target := t.Address.Addr().Unmap()
	switch {
	case !target.IsValid():
		return errNoAddress
	case t.Source.IsValid() && kernel.FamilyOf(t.Source) != kernel.FamilyOf(target):
		return errOtherFamily
	}
	f, err := openEcho(target, t.Source, t.Mark)
	if err != nil {
		return err
	}
	defer f.Close()
	release := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer release()
	var token [tokenSize]byte
	_, _ = rand.Read(token[:]) // it never fails
	form := echoOf(target)
	request := form.request(token)
	if _, err := f.Write(request[:]); err != nil {
		return ended(ctx, cause(err))
	}
	for {
		var packet [512]byte
		n, err := f.Read(packet[:])
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return cause(err)
		}
		if form.answers(packet[:n], token) {
			return nil
		}
	}
}

// cause returns the error of a system call without the file's name.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// openEcho opens a raw socket that receives the echo replies of a target only. Errors that ICMP reports for the target are
// those of its reads and writes.
func openEcho(target, source netip.Addr, with uint32) (*os.File, error) {
	form := echoOf(target)
	fd, err := unix.Socket(domain(target), unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, form.protocol)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("the daemon has no CAP_NET_RAW: start it as root, or grant it in the service unit")
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = os.NewSyscallError("setsockopt", form.filter(fd))
	if err == nil {
		err = mark(fd, with)
	}
	if err == nil && source.IsValid() {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))))
	}
	if err == nil {
		err = os.NewSyscallError("connect", unix.Connect(fd, sockaddr(netip.AddrPortFrom(target, 0))))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), target.String()), nil
}

const (
	echoHeader = 8
	tokenSize  = 16
	echoSize   = echoHeader + tokenSize
)

// echoForm is how a family asks and answers.
type echoForm struct {
	protocol       int
	asks, answered byte // the types of request and reply
	checksum       bool // it is not computed by the kernel
	withHeader     bool // what is read begins with the IP header
	filter         func(fd int) error
}

// echoOf returns the form of an address: that of IPv6, or else of IPv4.
func echoOf(a netip.Addr) echoForm {
	if kernel.FamilyOf(a) == kernel.IPv6 {
		return echoForm{protocol: unix.IPPROTO_ICMPV6, asks: 128, answered: 129, filter: func(fd int) error {
			var f unix.ICMPv6Filter
			for i := range f.Data {
				f.Data[i] = 0xffffffff
			}
			f.Data[129>>5] &^= 1 << (129 & 31)
			return unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
		}}
	}
	const icmpFilter = 1 // ICMP_FILTER (linux/icmp.h); a set bit drops the type
	return echoForm{protocol: unix.IPPROTO_ICMP, asks: 8, answered: 0, checksum: true, withHeader: true, filter: func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << 0))
	}}
}

// request encodes an echo request. A token identifies it; the identifier of ICMP is a part of that, because it is too
// short.
func (e echoForm) request(token [tokenSize]byte) [echoSize]byte {
	var p [echoSize]byte
	p[0] = e.asks
	p[4], p[5] = token[0], token[1]
	copy(p[echoHeader:], token[:])
	if e.checksum {
		var sum uint32
		for i := 0; i < len(p); i += 2 {
			sum += uint32(p[i])<<8 | uint32(p[i+1])
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		p[2], p[3] = ^byte(sum>>8), ^byte(sum)
	}
	return p
}

// answers reports whether a packet is the reply to the request with the token.
func (e echoForm) answers(packet []byte, token [tokenSize]byte) bool {
	if e.withHeader {
		if len(packet) == 0 {
			return false
		}
		size := int(packet[0]&0x0f) * 4
		if len(packet) < size {
			return false
		}
		packet = packet[size:]
	}
	return len(packet) >= echoSize && packet[0] == e.answered && [tokenSize]byte(packet[echoHeader:echoSize]) == token
}
