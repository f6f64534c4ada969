package packets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// Record records until ctx ends, in the network namespace of the calling thread, and returns the file. When the next packet could make
// it larger than most, it ends and full is true.
//
// Errors: kernel.ErrNotPermitted.
func Record(ctx context.Context, most int) (file []byte, full bool, err error) {
	every := uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8) // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, false, failed(err)
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	defer f.Close()
	// Until it is bound, the socket receives nothing.
	if err := errors.Join(sockets.Filter(fd, recorded()), unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every})); err != nil {
		return nil, false, failed(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, false, failed(err)
	}
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })()
	file = newFile()
	packet := make([]byte, snapped)
	for len(file)+recordSize+linkSize+snapped <= most {
		n, from, err := receive(raw, packet)
		switch {
		case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
			return file, false, nil
		case errors.Is(err, unix.ENETDOWN): // one interface is down
			continue
		case err != nil:
			return file, false, failed(err)
		}
		if ll, is := from.(*unix.SockaddrLinklayer); is {
			file = appendPacket(file, time.Now(), ll, packet[:n])
		}
	}
	return file, true, nil
}

// receive waits for one packet.
func receive(raw interface {
	Read(f func(fd uintptr) bool) error
}, packet []byte,
) (n int, from unix.Sockaddr, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, from, failed = unix.Recvfrom(int(fd), packet, 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	return max(n, 0), from, errors.Join(err, failed)
}

func failed(err error) error {
	return fmt.Errorf("record packets: %w", errno.Translate(err, "CAP_NET_RAW"))
}
