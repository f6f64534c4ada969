package migration_test

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/migration"
)

const elections = "vrrp_instance V {\n  interface eth0\n  virtual_router_id 51\n  virtual_ipaddress {\n    10.77.0.100\n  }\n}\n"

// The elections of a keepalived.conf and the virtual servers of a ldirectord.cf or a table become one valid cluster file.
func TestFilesOfOneDirector(t *testing.T) {
	for name, in := range map[string]string{
		"a.cf":    "checktimeout=5\nvirtual=10.77.0.100:80\n\treal=10.77.0.11:80 gate\n\tchecktype=connect\n",
		"a.rules": "--start-daemon master --mcast-interface eth1 --syncid 7\n-A -t 10.77.0.100:80 -s rr\n-a -t 10.77.0.100:80 -r 10.77.0.11:80 -g -w 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			var sources []migration.Source
			for _, node := range []string{"lvs1", "lvs2"} {
				sources = append(sources, migration.Source{Node: node, Files: []migration.File{parsed(node, "a.conf", []byte(elections)), parsed(node, name, []byte(in))}})
			}
			r := migration.Import(sources, migration.Options{Addresses: map[string]string{"lvs1": "10.77.0.2", "lvs2": "10.77.0.3"}})
			accounted(t, sources, r)
			complete(t, r)
			for _, want := range []string{"virtual_router_id: 51", "name: tcp-10.77.0.100-80"} {
				if r.Refused() > 0 || strings.Count(string(r.YAML), want) != 1 {
					t.Errorf("want %s once, and nothing refused: %v\n%s", want, r.Lines, r.YAML)
				}
			}
			if name == "a.rules" && !strings.Contains(string(r.YAML), "connection_sync: {interface: eth1, id: 7}") {
				t.Errorf("no connection_sync:\n%s", r.YAML)
			}
		})
	}
}

// A virtual server that two files have is refused at the second place.
func TestTheSameServiceTwice(t *testing.T) {
	files := []migration.File{
		parsed("lvs1", "a.cf", []byte("virtual=10.77.0.100:80\n\treal=10.77.0.11:80 gate\n")),
		parsed("lvs1", "a.rules", []byte("-A -t 10.77.0.100:80\n-a -t 10.77.0.100:80 -r 10.77.0.11\n")),
	}
	r := migration.Import([]migration.Source{{Node: "lvs1", Files: files}}, migration.Options{})
	var refused []string
	for _, l := range r.Lines {
		if l.Verdict == migration.Refused {
			refused = append(refused, l.String())
		}
	}
	if want := "a.rules:1:2: refused: -A -t 10.77.0.100:80: tcp-10.77.0.100-80 is there already, in line 1 of a.cf"; len(refused) != 1 || refused[0] != want {
		t.Errorf("refused: %q, want %q", refused, want)
	}
}
