package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// check says how large packets may be, once for each size.
func TestCheckSaysMTU(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
timeouts: {tcp: 8h}
virtual_servers:
  - name: web
    address: 10.77.0.100
    port: 80
    scheduler: rr
    forward: dr
    checks: [{type: tcp}]
    real_servers:
      - {name: a, address: 10.77.0.11}
      - {name: b, address: 10.77.0.12, forward: tun}
      - {name: c, address: 10.77.0.13, forward: tun}
      - {name: d, address: 10.77.0.14, forward: tun, tunnel: {type: gue, port: 5555}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "web: the tunnel to b, c adds 20 bytes: on a network with an MTU of 1500, packets of clients may have 1480 bytes, and their MSS is 1440\n" +
		"web: the tunnel to d adds 32 bytes: on a network with an MTU of 1500, packets of clients may have 1468 bytes, and their MSS is 1428\n"
	if code, out, err := lvsctl(t, "check", file); code != 0 || !strings.HasSuffix(out, want) || strings.Count(out, "\n") != 3 {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
	if code, out, _ := lvsctl(t, "check", "-o", "json", file); code != 0 || strings.Count(out, "adds") != 2 {
		t.Errorf("exit %d, %s", code, out)
	}
}
