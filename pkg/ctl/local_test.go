package ctl

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func TestChoose(t *testing.T) {
	text := `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}, {name: both, address: 10.77.0.3}]
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    real_servers: [{name: mysql1, address: 10.77.0.11}, {name: both, address: 10.77.0.3}]
`
	cfg, problems := config.Parse("cluster.yaml", []byte(text))
	if cfg == nil {
		t.Fatal(problems)
	}
	for _, tt := range []struct {
		what, socket, sockets, node string
		file                        *config.Config
		want                        local
	}{
		{"--socket", "/tmp/s", "director realserver", "mysql1", cfg, local{"/tmp/s", "lvs-director"}},
		{"--socket of an agent", "/tmp/realserver.sock", "director", "lvs-master", cfg, local{"/tmp/realserver.sock", "lvs-realserver"}},
		{"both run", "", "director realserver", "mysql1", cfg, theDirector},
		{"an agent runs", "", "realserver", "lvs-master", cfg, theAgent},
		{"nothing runs on a director", "", "", "lvs-master", cfg, theDirector},
		{"nothing runs on a real server", "", "", "mysql1", cfg, theAgent},
		{"nothing runs on a machine that is both", "", "", "both", cfg, theDirector},
		{"nothing runs on a machine that is neither", "", "", "client", cfg, theDirector},
		{"nothing is known", "", "", "mysql1", nil, theDirector},
	} {
		exists := func(path string) bool {
			for name := range strings.FieldsSeq(tt.sockets) {
				if strings.HasSuffix(path, "/"+name+".sock") {
					return true
				}
			}
			return false
		}
		if got := choose(tt.socket, exists, func() *config.Config { return tt.file }, []string{tt.node}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
}
