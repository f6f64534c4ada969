package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
)

// Timeouts have the semantics of sysctls: the previous value is returned, an equal one is not written, and only the one
// that is meant changes.
func TestTimeoutsAreKeptLikeSysctls(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "net/ipv4"), 0o755), os.WriteFile(filepath.Join(root, "net/ipv4/ip_forward"), []byte("0\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	now, sets := ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second}, 0
	var failure error
	s := settings{
		sysctl.At(root), func(context.Context) (ipvs.Timeouts, error) { return now, failure },
		func(_ context.Context, t ipvs.Timeouts) error {
			sets++
			if t.TCPFin != 0 || t.UDP != 0 {
				return errors.New("others are set")
			}
			now.TCP = t.TCP
			return nil
		},
	}
	if before, err := s.Set("net.ipv4.ip_forward", "1"); before != "0" || err != nil {
		t.Errorf("a sysctl: %s, %v", before, err)
	}
	if before, err := s.Set("ipvs/timeout/tcp", "28800"); before != "900" || err != nil || now.TCP != 8*time.Hour {
		t.Errorf("%s, %v, %v", before, err, now)
	}
	if before, err := s.Set("ipvs/timeout/tcp", "28800"); before != "28800" || err != nil || sets != 1 {
		t.Errorf("%s, %v, set %d times", before, err, sets)
	}
	if value, err := s.Get("ipvs/timeout/tcp_fin"); value != "120" || err != nil {
		t.Errorf("%s, %v", value, err)
	}
	for _, key := range []string{"ipvs/timeout/udp", "ipvs/timeout/sctp"} {
		if _, err := s.Get(key); !errors.Is(err, sysctl.ErrMissing) {
			t.Errorf("%s: %v, want ErrMissing", key, err)
		}
	}
	if _, err := s.Set("ipvs/timeout/tcp", "8h"); !errors.Is(err, sysctl.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	failure = ipvs.ErrNoIPVS
	if _, err := s.Get("ipvs/timeout/tcp"); !errors.Is(err, sysctl.ErrMissing) {
		t.Errorf("without IPVS: %v, want ErrMissing", err)
	}
}
