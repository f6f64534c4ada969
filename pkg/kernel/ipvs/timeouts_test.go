package ipvs

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Read and written as ipvsadm does.
func TestTimeouts(t *testing.T) {
	openTable(t)
	before, err := GetTimeouts(t.Context())
	if want := (Timeouts{15 * time.Minute, 2 * time.Minute, 5 * time.Minute}); err != nil || before != want {
		t.Errorf("%+v, %v, want Linux's defaults %+v", before, err, want)
	}
	if err := SetTimeouts(t.Context(), Timeouts{TCP: 8 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ipvsadm", "-L", "--timeout").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "Timeout (tcp tcpfin udp): 28800 120 300" {
		t.Errorf("%v: %s", err, out)
	}
	ipvsadm(t, "--set", "10", "20", "30")
	if now, err := GetTimeouts(t.Context()); err != nil || now != (Timeouts{10 * time.Second, 20 * time.Second, 30 * time.Second}) {
		t.Errorf("%+v, %v", now, err)
	}
	if err := SetTimeouts(t.Context(), Timeouts{UDP: 1 << 31 * time.Second}); !errors.Is(err, ErrTimeout) {
		t.Errorf("too long: %v, want %v", err, ErrTimeout)
	}
	if err := SetTimeouts(t.Context(), Timeouts{TCP: 24 * 24 * time.Hour}); err != nil {
		t.Errorf("the longest that a cluster file may have: %v", err)
	}
}
