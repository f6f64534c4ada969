package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func parseGood(t *testing.T, name string) *config.Config {
	t.Helper()
	c, problems := config.Parse("cluster.yaml", readFile(t, "testdata/good/"+name+".yaml"))
	if c == nil {
		t.Fatalf("problems:\n%s", problems)
	}
	return c
}

// A problem with an interface is reported at the position of that director's interface.
func TestProblemOfAnInterface(t *testing.T) {
	c := parseGood(t, "full")
	for director, want := range map[string]string{
		"lvs-master": ":13:16: vrrp_instances[0].interface: is not there (try ip link)",
		"lvs-backup": ":24:31: vrrp_instances[0].per_node.lvs-backup.interface: is not there (try ip link)",
	} {
		in := c.ForNode(director).Instances[0]
		if got := c.Problem(in.InterfaceAt, "is not there", "try ip link").String(); got != c.File+want {
			t.Errorf("%s: %q, want %q", director, got, c.File+want)
		}
	}
}

func TestForNode(t *testing.T) {
	c := parseGood(t, "full")
	type view struct {
		Interface    string
		Priority     uint8
		Preempt      bool
		PreemptDelay time.Duration
		Tracks       []config.TrackUse
	}
	for director, want := range map[string]view{
		"lvs-master": {"eth0", 150, true, 30 * time.Second, []config.TrackUse{}},
		"lvs-backup": {"eth9", 100, false, 0, []config.TrackUse{{Name: "gateway"}, {Name: "local-mysql"}}},
		"another":    {"eth0", 100, true, 30 * time.Second, []config.TrackUse{{Name: "gateway"}}},
	} {
		own := c.ForNode(director)
		in := own.Instances[0]
		got := view{in.Interface, in.Priority, in.Preempt, in.PreemptDelay, in.Tracks}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", director, diff)
		}
		if in.PerNode != nil {
			t.Errorf("%s: PerNode is %v", director, in.PerNode)
		}
		// Values that per_node cannot set are the same byDirector, including defaults.
		if in.Lease != c.Instances[0].Lease || in.VRID != 51 || own.Digest != c.Digest || len(own.VirtualServers) != 2 {
			t.Errorf("%s: %+v", director, own)
		}
	}
	if outer := c.Instances[0]; len(outer.PerNode) != 2 || outer.Interface != "eth0" {
		t.Errorf("ForNode changed the instance: %+v", outer)
	}
	file, problems := config.Parse("f", []byte(`version: 1
directors: [{name: lvs-master, address: 10.0.0.1}, {name: lvs-backup, address: 10.0.0.2}]
vrrp_instances:
- {name: i, interface: eth0, virtual_router_id: 1, virtual_addresses: [10.0.0.9], per_node: {lvs-master: {priority: 150}}}
`))
	if file == nil {
		t.Fatal(problems)
	}
	for director, want := range map[string]uint8{"lvs-master": 150, "lvs-backup": 100} {
		if in := file.ForNode(director).Instances[0]; in.Priority != want || in.Lease != 5*time.Second {
			t.Errorf("%s: %+v", director, in)
		}
	}
}

// The effect of a changed key is the declared one; of several, the most disruptive.
func TestReload(t *testing.T) {
	now := parseGood(t, "full").ForNode("lvs-master").Instances[0]
	for name, tt := range map[string]struct {
		edit func(*config.Instance)
		want config.Reload
	}{
		"nothing":            {func(*config.Instance) {}, config.Same},
		"place in the file":  {func(i *config.Instance) { i.InterfaceAt.Line++ }, config.Same},
		"name":               {func(i *config.Instance) { i.Name = "other" }, config.Live},
		"interface":          {func(i *config.Instance) { i.Interface = "eth8" }, config.Another},
		"virtual router id":  {func(i *config.Instance) { i.VRID++ }, config.Another},
		"protocol version":   {func(i *config.Instance) { i.ProtocolVersion = 3 }, config.Another},
		"advert interval":    {func(i *config.Instance) { i.AdvertInterval *= 2 }, config.Live},
		"priority":           {func(i *config.Instance) { i.Priority++ }, config.Live},
		"preempt":            {func(i *config.Instance) { i.Preempt = false }, config.Live},
		"preempt delay":      {func(i *config.Instance) { i.PreemptDelay++ }, config.Live},
		"lease":              {func(i *config.Instance) { i.Lease++ }, config.Live},
		"a VIP less":         {func(i *config.Instance) { i.VirtualAddresses = i.VirtualAddresses[:1] }, config.Live},
		"tracks":             {func(i *config.Instance) { i.Tracks = []config.TrackUse{{Name: "gateway"}} }, config.Live},
		"priority and VRID":  {func(i *config.Instance) { i.Priority, i.VRID = 7, 7 }, config.Another},
		"another director's": {func(i *config.Instance) { i.PerNode = map[string]config.Instance{"x": {}} }, config.Same},
	} {
		next := now
		tt.edit(&next)
		if got := now.Reload(next); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestDirectorNamed(t *testing.T) {
	c := parseGood(t, "minimal")
	for _, tt := range []struct {
		names      []string
		want, fail string
	}{
		{names: []string{"lvs-backup"}, want: "lvs-backup"},
		{names: []string{"lvs-backup.example.org", "lvs-backup"}, want: "lvs-backup"},
		{names: []string{"lvs-master", "lvs-backup"}, want: "lvs-master"},
		{names: []string{"a.example.org", "a"}, fail: `cluster.yaml names no director "a.example.org" or "a", only lvs-master, lvs-backup: choose one with --node`},
	} {
		d, err := c.DirectorNamed(tt.names...)
		if d.Name != tt.want || message(err) != tt.fail {
			t.Errorf("%q: %+v, %q, want %q, %q", tt.names, d, message(err), tt.want, tt.fail)
		}
	}
}

func TestRealServersNamed(t *testing.T) {
	c := parseGood(t, "full")
	for _, tt := range []struct {
		names []string
		want  []string // virtual server and port of the real server
		fail  string
	}{
		{names: []string{"mysql1.example.org", "mysql1"}, want: []string{"mysql-nat 3307", "web 80"}},
		{names: []string{"web1", "mysql1"}, want: []string{"web 80"}},
		{names: []string{"lvs-master"}, fail: `cluster.yaml names no real server "lvs-master", only mysql1, mysql2, web1: choose one with --node`},
	} {
		list, err := c.RealServersNamed(tt.names...)
		var got []string
		for _, m := range list {
			got = append(got, m.VirtualServer.Name+" "+portText(m.RealServer.Port))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || message(err) != tt.fail {
			t.Errorf("%q (-want +got):\n%s%q, want %q", tt.names, diff, message(err), tt.fail)
		}
	}
	_, err := parseGood(t, "directors-only").RealServersNamed("mysql1")
	if want := "cluster.yaml names no real server"; message(err) != want {
		t.Errorf("%q, want %q", message(err), want)
	}
}

func TestSummary(t *testing.T) {
	for name, want := range map[string]string{
		"interface":      "cluster.yaml: ok: 2 directors, 1 VRRP instance, 1 virtual server, 2 real servers",
		"directors-only": "cluster.yaml: ok: 2 directors, 1 VRRP instance",
		"balance-only":   "cluster.yaml: ok: 2 directors, 1 virtual server, 2 real servers",
	} {
		if got := parseGood(t, name).Summary(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestProblemString(t *testing.T) {
	p := config.Problem{File: "cluster.yaml", Line: 42, Column: 9, Path: "virtual_servers[0].real_servers[1].port", Message: "3307 differs", Hint: "use forward: nat"}
	if got, want := p.String(), "cluster.yaml:42:9: virtual_servers[0].real_servers[1].port: 3307 differs (use forward: nat)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.Warning, p.Path, p.Hint = true, "", ""
	if got, want := p.String(), "cluster.yaml:42:9: warning: 3307 differs"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if config.Problems.Failed([]config.Problem{p}) || config.Problems.Err([]config.Problem{p}) != nil {
		t.Error("a warning is an error")
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
