package packets

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// TestRecord: of packets that pass an interface the file has the headers, and nothing of what they carry.
func TestRecord(t *testing.T) {
	h := netnstest.New(t)
	done, sent := make(chan struct{}), make(chan error, 1)
	go func() {
		sent <- h.Enter(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
					if err := sendAll(); err != nil {
						return err
					}
				}
			}
		})
	}()
	var file []byte
	full := false
	err := h.Enter(func() (err error) {
		file, full, err = Record(t.Context(), 64<<10) // a few rounds
		return err
	})
	close(done)
	if err = errors.Join(err, <-sent); err != nil || !full || len(file) > 64<<10 {
		t.Fatalf("%v, full: %t, %d bytes", err, full, len(file))
	}
	for _, c := range packets {
		if c.kept > 0 && !bytes.Contains(file, c.packet[:c.kept]) {
			t.Errorf("%s: is not recorded", c.name)
		}
	}
	if bytes.Contains(file, []byte(password)) {
		t.Error("the password is recorded")
	}
	if tcpdump, err := exec.LookPath("tcpdump"); err == nil {
		cmd := exec.Command(tcpdump, "-Z", "root", "-nr", "-")
		cmd.Stdin = bytes.NewReader(file)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "VRRPv2, Advertisement, vrid 51, prio 100") {
			t.Errorf("%v:\n%s", err, out)
		}
	}
}

// sendAll sends the packets of the table by lo.
func sendAll() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, c := range packets {
		to := &unix.SockaddrLinklayer{Protocol: c.etherType>>8 | c.etherType<<8, Ifindex: 1, Halen: 6}
		if err := unix.Sendto(fd, c.packet, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return nil
}

// TestRecordEnds: it ends with its context, without packets and without an error.
func TestRecordEnds(t *testing.T) {
	h := netnstest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Do(t, func() error {
		file, full, err := Record(ctx, 1<<20)
		if err != nil || full || !bytes.Equal(file, newFile()) {
			t.Errorf("%v, full: %t, %x", err, full, file)
		}
		return nil
	})
}

// TestNotPermitted: a user who may not record is told what is needed.
func TestNotPermitted(t *testing.T) {
	if err := failed(unix.EPERM); !errors.Is(err, kernel.ErrNotPermitted) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Error(err)
	}
}
