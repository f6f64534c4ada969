package director

import (
	"strings"
	"testing"
	"time"
)

// TestTimeouts: the timeouts of the file are set before the table, kept, changed by a reload, and restored at the end.
func TestTimeouts(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.sysctls["ipvs/timeout/tcp"], m.sysctls["ipvs/timeout/tcp_fin"], m.sysctls["ipvs/timeout/udp"] = "900", "120", "300"
		file := func(timeouts string) string {
			return electing + router("a", "eth0", 51, vip) + timeouts + virtualServers + balancing("mysql", vip, "dr", one)
		}
		m.begin(file("timeouts: {tcp: 8h, udp: 5m}\n"))
		m.pass(5 * time.Second)
		if all := strings.Join(m.history(), "\n"); !strings.Contains(all, "sysctl ipvs/timeout/tcp=28800\nsysctl net.ipv4.vs.expire_nodest_conn=1\nipvsadm -A") {
			t.Errorf("the start:\n%s", all)
		}
		m.set("ipvs/timeout/tcp", "60") // ipvsadm --set by another process
		m.pass(2 * time.Second)
		m.expect("set by another process", "sysctl ipvs/timeout/tcp=28800")
		m.reload(file("timeouts: {tcp_fin: 1m}\n"))
		m.expect("the reload", "sysctl ipvs/timeout/tcp_fin=60", "sysctl ipvs/timeout/tcp=900")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if all := strings.Join(m.history(), "\n"); !strings.Contains(all, "sysctl ipvs/timeout/tcp_fin=120") || m.sysctls["ipvs/timeout/tcp"] != "900" {
			t.Errorf("the end:\n%s\n%v", all, m.sysctls)
		}
	})
}
