package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const trackFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
- {name: outer, interface: eth0, virtual_router_id: 51, priority: 150, virtual_addresses: [10.77.0.100], tracks: [TRACKS]}
- {name: inner, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101]}
virtual_servers:
- {name: web, address: 10.77.0.100, port: 80, scheduler: rr, forward: dr, checks: [{type: tcp}], real_servers: [
  {name: a, address: 10.77.0.11}, {name: b, address: 10.77.0.12}, {name: c, address: 10.77.0.13}, {name: drained, address: 10.77.0.14, weight: 0}]}
bfd_sessions: [{name: router, interface: eth0, address: 10.77.0.1}]
tracks:
- {name: db, type: tcp, address: 127.0.0.1, port: 22}
- {name: net, type: tcp, address: 10.77.0.1, port: 22, when: becoming_master}
- {name: pool, type: virtual_server, virtual_server: web, at_least: 2}
- {name: master, type: instance, instance: inner}
- {name: fit, type: instance, instance: inner, must_be: not_fault}
`

// judgement is how outer stands: its priority, faults and gate.
func judgement(t *testing.T, tracks string, edit func(in *Inputs)) string {
	t.Helper()
	cfg, problems := config.Parse("f", []byte(strings.Replace(trackFile, "TRACKS", tracks, 1)))
	if cfg == nil {
		t.Fatal(problems)
	}
	in := inputs(cfg)
	in.Node = "lvs-master"
	before := Of(in)
	edit(&in)
	var results []string
	for _, p := range []Plan{Of(in), before.Judged(in)} {
		i := p.Instances[0]
		text := fmt.Sprintf("%d", i.Params.Priority)
		if slices.ContainsFunc(i.Faults, func(f Fault) bool { return f.Track != "" }) {
			text += " FAULT"
		}
		if i.Gate != "" {
			text += " gate: " + i.Gate
		}
		results = append(results, text)
	}
	if results[0] != results[1] {
		t.Errorf("%s: %q, judged later %q", tracks, results[0], results[1])
	}
	return results[0]
}

// TestTracksOfAnInstance: what the state of each kind of track means.
func TestTracksOfAnInstance(t *testing.T) {
	up, down, rejected := health.Verdict{Known: true, Up: true, Code: health.OK, Reason: "up"}, health.Verdict{Known: true, Code: health.Refused, Reason: "down"}, health.Verdict{Code: health.Auth}
	shaky := health.Verdict{Known: true, Up: true, Doubtful: true, Reason: "up: 1 of 2 failures"}
	nowhere := health.Verdict{Known: true, Up: true, NoNetwork: true}
	track := func(name string, v health.Verdict) map[config.Subject]health.Verdict {
		return map[config.Subject]health.Verdict{{Track: config.TrackID(name)}: v}
	}
	servers := func(verdicts ...health.Verdict) map[config.Subject]health.Verdict {
		all := map[config.Subject]health.Verdict{{Server: config.ServerID{Service: "web", Server: "drained"}}: up}
		for i, v := range verdicts {
			all[config.Subject{Server: config.ServerID{Service: "web", Server: string(rune('a' + i))}}] = v
		}
		return all
	}
	for _, c := range []struct {
		tracks   string
		verdicts map[config.Subject]health.Verdict
		inner    vrrp.State
		starting bool
		want     string
	}{
		{tracks: "db", want: "150"},
		{tracks: "db", starting: true, want: "150 gate: db has no result yet"},
		{tracks: "db", starting: true, verdicts: track("db", rejected), want: "150"},
		{tracks: "db", starting: true, verdicts: track("db", up), want: "150"},
		{tracks: "db", verdicts: track("db", down), want: "150 FAULT"},
		{tracks: "{name: db, weight: -20}", starting: true, want: "150"},
		{tracks: "{name: db, weight: -20}", verdicts: track("db", down), want: "130"},
		{tracks: "{name: db, weight: 20}", want: "150"},
		{tracks: "{name: db, weight: 20}", verdicts: track("db", up), want: "170"},
		{tracks: "{name: db, weight: 200}", verdicts: track("db", up), want: "254"},
		{tracks: "{name: db, weight: 0, reverse: true}", verdicts: track("db", up), want: "150 FAULT"},
		{tracks: "{name: router, weight: -20}", verdicts: track("router", down), want: "130"},
		{tracks: "router", verdicts: track("router", down), want: "150 FAULT"},
		{tracks: "net", verdicts: track("net", down), want: "150 gate: net: down"},
		{tracks: "net", verdicts: track("net", up), want: "150"},
		{tracks: "net", verdicts: track("net", shaky), want: "150 gate: net: up: 1 of 2 failures"},
		{tracks: "db", verdicts: track("db", shaky), want: "150"},
		{tracks: "net, db", starting: true, verdicts: track("net", down), want: "150 gate: db has no result yet; net: down"},

		{tracks: "pool", verdicts: servers(up, up, down), want: "150"},
		{tracks: "pool", verdicts: servers(up, down, down), want: "150 FAULT"},
		{tracks: "pool", verdicts: servers(up, nowhere, nowhere), want: "150 FAULT"},
		{tracks: "{name: pool, weight: -30}", verdicts: servers(up, down, down), want: "120"},
		{tracks: "pool", verdicts: servers(up, down), want: "150"},
		{tracks: "pool", starting: true, verdicts: servers(up, down), want: "150 gate: pool has no result yet"},
		{tracks: "pool", starting: true, verdicts: servers(up, down, rejected), want: "150"},
		{tracks: "pool", starting: true, verdicts: servers(down, down), want: "150 FAULT"},

		{tracks: "master", inner: vrrp.Master, want: "150"},
		{tracks: "master", inner: vrrp.Backup, want: "150 FAULT"},
		{tracks: "master", inner: vrrp.Init, want: "150"},
		{tracks: "{name: fit, weight: -30}", inner: vrrp.Backup, want: "150"},
		{tracks: "{name: fit, weight: -30}", inner: vrrp.Fault, want: "120"},
	} {
		got := judgement(t, c.tracks, func(in *Inputs) {
			in.Verdicts, in.Starting = VerdictsOf(c.verdicts), c.starting
			in.Standings = map[string]Standing{"inner": {State: c.inner}}
		})
		if got != c.want {
			t.Errorf("%s, inner %s, starting %t, %v: %q, want %q", c.tracks, c.inner, c.starting, c.verdicts, got, c.want)
		}
	}
}

// TestPoolTrackSince: since when enough real servers are up, or too few.
func TestPoolTrackSince(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	pools := []config.VirtualServer{{Name: "web", RealServers: []config.RealServer{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}}}
	track := config.Track{Name: "pool", Watch: config.WatchedVirtualServer{VirtualServer: "web", AtLeast: 2}}
	for _, c := range []struct {
		up    [3]bool // since 10, 20 and 30
		since int
	}{
		{[3]bool{true, true, true}, 20},
		{[3]bool{true, false, true}, 30},
		{[3]bool{false, true, false}, 30},
		{[3]bool{false, false, true}, 20},
	} {
		verdicts := map[config.Subject]health.Verdict{}
		for i, name := range []string{"a", "b", "c"} {
			verdicts[config.Subject{Server: config.ServerID{Service: "web", Server: name}}] = health.Verdict{Known: true, Up: c.up[i], Since: at(10 * (i + 1))}
		}
		if v := TrackVerdict(track, pools, VerdictsOf(verdicts), nil, nil); !v.Since.Equal(at(c.since)) {
			t.Errorf("%v: %s since %d, want %d", c.up, v.Reason, v.Since.Unix(), c.since)
		}
	}
}

// TestPriorityReason: it names the tracks that change the priority.
func TestPriorityReason(t *testing.T) {
	cfg, _ := config.Parse("f", []byte(strings.Replace(trackFile, "TRACKS", "{name: db, weight: -20}, {name: pool, weight: 5}", 1)))
	in := inputs(cfg)
	in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{{Track: "db"}: {Known: true, Reason: "down: refused"}})
	if got := Of(in).Instances[0].PriorityReason(); got != "150 in the cluster file, db -20 (down: refused)" {
		t.Error(got)
	}
}
