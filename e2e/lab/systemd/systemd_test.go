package systemd_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

const sleepingUnit = `[Service]
ExecStart=/bin/sh -c 'echo awake; exec sleep 1000'
ExecStopPost=/bin/sh -c 'echo over: $$SERVICE_RESULT'
Restart=on-failure
RestartSec=50ms
`

func TestSystemd(t *testing.T) {
	n := lab.New(t)
	h := n.Host("machine", n.Bridge("lan").At("10.77.0.2/24"))
	begun := time.Now()
	s := systemd.Start(h, systemd.Options{
		Programs: map[string]string{"/usr/local/bin/really": "/bin/true"},
		Files:    []systemd.File{{Path: "/etc/systemd/system/sleeping.service", Content: sleepingUnit}},
	})
	took := time.Since(begun)
	t.Logf("boot %s", took)
	if took > 5*time.Second {
		t.Errorf("the boot took %s", took)
	}
	if state, err := s.Try("systemctl", "is-system-running"); strings.TrimSpace(state) != "running" {
		t.Errorf("state %q, %v\n%s", state, err, s.Systemctl("--failed", "--no-pager"))
	}
	if got := s.Run("cat", "/proc/1/comm") + s.Run("hostname") + s.Run("/usr/local/bin/really"); got != "systemd\nmachine\n" {
		t.Errorf("process 1, hostname and output: %q", got)
	}
	if out := s.Run("ip", "-o", "-4", "addr"); !strings.Contains(out, "10.77.0.2/24") {
		t.Errorf("not the host's network namespace:\n%s", out)
	}

	begun = time.Now()
	mark := s.JournalMark() // before the start, because its output may be in the journal before systemctl returns
	s.Systemctl("start", "sleeping")
	t.Logf("start %s", time.Since(begun))
	first := s.MainPID("sleeping")
	if got := s.Run("cat", "/proc/"+strconv.Itoa(first)+"/cgroup"); !strings.HasSuffix(got, "0::/system.slice/sleeping.service\n") {
		t.Errorf("cgroup %q", got)
	}
	mark.WaitLog("awake", 5*time.Second)
	mark = s.JournalMark()
	s.Kill(first, syscall.SIGKILL)
	mark.WaitLog("over: signal", 5*time.Second)
	mark.WaitLog("awake", 5*time.Second)
	if got := s.Property("sleeping", "NRestarts"); got != "1" || s.MainPID("sleeping") == first {
		t.Errorf("%s restarts", got)
	}
	s.Systemctl("stop", "sleeping")
	if pid := s.MainPID("sleeping"); pid != 0 {
		t.Errorf("process %d after the stop", pid)
	}
	if got := s.Journal("sleeping"); strings.Count(got, "awake\n") != 2 || !strings.Contains(got, "Deactivated successfully") {
		t.Errorf("journal:\n%s", got)
	}
}
