package ctl

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestCompleteNames: the shell completes names that the director has, and none without a director.
func TestCompleteNames(t *testing.T) {
	socket := serve(t, api.Handlers{Status: func() any {
		return status.Director{
			Instances:  []status.Instance{{Name: "web"}, {Name: "mysql"}},
			SyncGroups: []status.SyncGroup{{Name: "both"}},
			VirtualServers: []status.VirtualServer{
				{Name: "mysql", RealServers: []status.RealServer{{Name: "db1"}, {Name: "db2"}}}, {Name: "web", RealServers: []status.RealServer{{Name: "db1"}}},
			},
		}
	}})
	const servers, targets = "mysql/db1\nmysql/db2\nweb/db1\n", "db1\ndb2\nmysql/db1\nmysql/db2\nweb/db1\n"
	for args, want := range map[string]string{
		"drain ": targets, "disable ": targets, "enable ": targets, "weight ": targets, "weight db1 ": "", "explain ": servers, "probe ": servers,
		"failover ": "both\nmysql\nweb\n", "vrrp record ": "mysql\nweb\n", "zero ": "mysql\nweb\n", "explain mysql/db1 ": "",
	} {
		for path, want := range map[string]string{socket: want, socket + ".none": ""} {
			code, out, _ := lvsctl(t, append([]string{"__complete", "--socket", path}, strings.Split(args, " ")...)...)
			if code != 0 || out != want+":4\n" {
				t.Errorf("%q: exit %d, %q; want %q", args, code, out, want)
			}
		}
	}
}
