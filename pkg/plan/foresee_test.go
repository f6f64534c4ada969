package plan

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// balancingFile returns a file with one virtual server with these lines of real servers.
func balancingFile(t *testing.T, name string, servers ...string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - name: `+name+`
    address: 10.77.0.100
    port: 3306
    scheduler: wrr
    forward: dr
    checks: [{type: tcp, interval: 1s}]
    real_servers:
      - `+strings.Join(servers, "\n      - ")+"\n"))
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

func texts(ops []lvs.Op) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(op.String() + "\n")
	}
	return b.String()
}

func TestForesee(t *testing.T) {
	one, two := "{name: mysql1, address: 10.77.0.11, weight: 3}", "{name: mysql2, address: 10.77.0.12}"
	running := balancingFile(t, "mysql", one, two)
	verdicts := map[config.Subject]health.Verdict{
		{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}: {Known: true, Up: true},
		{Server: config.ServerID{Service: "mysql", Server: "mysql2"}}: {Known: true}, // down
	}
	table := TableOf(running, "d", VerdictsOf(verdicts))
	have := table.Desired(nil)
	for _, tt := range []struct {
		name, service string
		servers       []string
		now, later    string
	}{
		{"the same", "mysql", []string{one, two}, "", ""},
		{"other names", "db", []string{strings.Replace(one, "mysql1", "m1", 1), strings.Replace(two, "mysql2", "m2", 1)}, "", ""},
		{"a weight", "mysql", []string{strings.Replace(one, "3}", "4}", 1), two}, "ipvsadm -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 4\n", ""},
		{"one is removed", "mysql", []string{two}, "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.11:3306\n", ""},
		{
			"one is added", "mysql",
			[]string{one, two, "{name: mysql3, address: 10.77.0.13}"},
			"", "ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.13:3306 -g -w 1\n",
		},
		{
			"one without checks", "mysql",
			[]string{one, "{name: mysql2, address: 10.77.0.12, checks: []}"},
			"ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1\n", "",
		},
	} {
		f := table.Foresee(balancingFile(t, tt.service, tt.servers...), have, nil, nil)
		if now, later := texts(f.Ops), texts(f.Later); now != tt.now || later != tt.later {
			t.Errorf("%s:\n%sthen\n%s", tt.name, now, later)
		}
	}
	// A real server of another virtual server with the same checks is known, and the old virtual server goes if it is ours.
	other := balancingFile(t, "mysql", strings.Replace(one, "10.77.0.11", "10.77.0.11, port: 3306", 1))
	other.VirtualServers[0].Port = 3307
	f := table.Foresee(other, have, nil, func(lvs.Key) bool { return true })
	want := "ipvsadm -A -t 10.77.0.100:3307 -s wrr\nipvsadm -a -t 10.77.0.100:3307 -r 10.77.0.11:3306 -g -w 3\nipvsadm -D -t 10.77.0.100:3306\n"
	if got := texts(f.Ops) + texts(f.Later); got != want || len(f.Removal.Gone) != 2 {
		t.Errorf("%s, %s", got, f.Removal)
	}
}

// What the kernel has of a server that the running file does not name, as another program may have added, is not taken for
// its state.
func TestForeseeForeign(t *testing.T) {
	one, two := "{name: mysql1, address: 10.77.0.11}", "{name: mysql2, address: 10.77.0.12}"
	table := TableOf(balancingFile(t, "mysql", one), "d", Verdicts{})
	both := TableOf(balancingFile(t, "mysql", one, "{name: mysql2, address: 10.77.0.12}"), "d", VerdictsOf(map[config.Subject]health.Verdict{
		{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}: {Known: true, Up: true},
		{Server: config.ServerID{Service: "mysql", Server: "mysql2"}}: {Known: true, Up: true},
	})).Desired(nil)
	f := table.Foresee(balancingFile(t, "mysql", one, two), both, nil, nil)
	if got, want := texts(f.Ops)+texts(f.Later), "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.12:3306\nipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
