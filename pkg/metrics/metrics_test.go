package metrics_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lvs-director/lvs-director/internal/pagetest"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// director returns a director that has something of everything, with virtual servers of this many real servers.
func director(virtual, each int) metrics.Node {
	since := time.Unix(1_700_000_000, 250e6)
	doc := status.Director{
		Head: status.Head{
			Node: "lvs-master", Role: "director", Version: "1.0", ConfigDigest: "sha256:12",
			ProblemDetails: []problem.Problem{{Code: problem.EventsNotSaved}, {Code: problem.InstanceFault}, {Code: problem.InstanceFault}},
			Process:        &status.Process{Goroutines: 30, HeapBytes: 1 << 20, TotalBytes: 1 << 24},
		},
		TrafficReadAt: since,
		Instances: []status.Instance{
			{
				Name: "mysql", State: "MASTER", Since: since, Priority: 150, EffectivePriority: 140, VirtualAddresses: []string{"10.77.0.100/32"}, AdvertsSent: math.MaxUint64, AdvertsReceived: 3,
				Dropped: map[string]uint64{"wrong vrid": 2, `a "b" \ c` + "\nd\xff": 1}, HandedOverSince: &since,
				AdvertLateness: &status.Lateness{Count: 6, Max: 3000, Sum: 3001.5, Buckets: []status.LatenessBucket{{Bound: 1, Count: 5}, {Bound: 0, Count: 1}}},
			},
			{Name: "other", State: "new state", Since: since, VirtualAddresses: []string{"10.77.0.101/32", "10.77.0.102/32"}},
		},
		Interfaces:     []status.Interface{{Name: "eth0", Family: "IPv4", Received: 9, Dropped: map[string]uint64{"ttl": 1}}, {Name: "eth0", Family: "IPv6"}},
		Tracks:         []status.Track{{Name: "gateway", State: "down"}},
		BFDSessions:    []status.BFDSession{{Name: "router", Interface: "eth0", State: "Up", Sent: 1, Received: 2, Dropped: map[string]uint64{"ttl": 3}}},
		SyncGroups:     []status.SyncGroup{{Name: "all", State: "MIXED"}},
		Overrides:      []status.Override{{Kind: "drain"}, {Kind: "drain"}},
		ConnectionSync: &status.ConnectionSync{Held: 1, Learned: 2, Lacking: 3, Warm: true, SentAgain: 4},
	}
	checks := &metrics.Checks{Durations: []metrics.Durations{{Type: "tcp", Sum: 1500 * time.Millisecond, Buckets: []metrics.Bucket{{Bound: time.Millisecond, Count: 2}, {Bound: time.Second, Count: 1}, {Count: 1}}}}}
	checks.Servers = append(checks.Servers, metrics.CheckCount{Track: "gateway", Bad: 4})
	for v := range virtual {
		service := status.VirtualServer{Name: fmt.Sprintf("v%d", v), Address: "10.77.0.100", Port: 3306, Protocol: "tcp", Scheduler: "wrr", Forward: "dr", State: "degraded", Traffic: &status.Traffic{Connections: 1 << 60}}
		for r := range each {
			name := fmt.Sprintf("r%d", r)
			service.RealServers = append(service.RealServers, status.RealServer{
				Name: name, Address: "10.77.0.11", Port: 3306, State: "up", Code: "ok", Weight: 3, ConfiguredWeight: 3, Forward: "dr", Traffic: &status.Traffic{BytesIn: uint64(r)},
			})
			checks.Servers = append(checks.Servers, metrics.CheckCount{VirtualServer: service.Name, RealServer: name, Good: 10, Bad: 1, Took: 1500 * time.Microsecond})
		}
		doc.VirtualServers = append(doc.VirtualServers, service)
	}
	return metrics.Node{
		Head: doc.Head, GoVersion: "go1.26", Started: since, Loops: []metrics.LoopCount{{Name: "the checker", Beats: 7}},
		Events: []metrics.EventCount{
			{Kind: event.InstanceState, Subject: "mysql", To: "MASTER", Count: 2},
			{Kind: event.InstanceState, Subject: "gone", To: "MASTER", Count: 5},
			{Kind: event.HookEnded, To: event.HookFailed, Count: 3},
		},
		Director: &metrics.Director{Status: doc, Leases: map[string]time.Duration{"mysql": 2500 * time.Millisecond}, Checks: checks},
	}
}

func agent() metrics.Node {
	doc := status.Agent{
		Head: status.Head{Node: "mysql1", Role: "realserver", ProblemDetails: []problem.Problem{{Code: problem.NotServing}}},
		VirtualServers: []status.Membership{
			{Name: "mysql", Address: "10.77.0.100", Port: 3306, Forward: "dr", State: "up"},
			{Name: "mysql", Address: "10.77.0.100", Port: 3306, Forward: "dr", State: "down"}, // this node is two of its real servers
			{Name: "other", Address: "10.77.0.100", Port: 3307, Forward: "dr", State: "up"},
		},
		Addresses: []status.Kept{{Name: "lo 10.77.0.100/32", Repairs: 2}},
		Sysctls:   []status.Kept{{Name: "net.ipv4.conf.all.arp_ignore", Problem: "is 0"}},
	}
	return metrics.Node{Head: doc.Head, Agent: &doc}
}

func text(t testing.TB, n metrics.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := metrics.Write(&b, n); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// parsed is what Prometheus' own parser reads.
func parsed(t testing.TB, of string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(of))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// TestSamples: the values are those of the status.
func TestSamples(t *testing.T) {
	for _, tt := range []struct {
		of   metrics.Node
		want []string
	}{
		{director(2, 2), []string{
			`lvs_build_info{version="1.0",goversion="go1.26",role="director",node="lvs-master"} 1`,
			`lvs_start_timestamp_seconds 1700000000.250`,
			`lvs_problems{code="instance_fault",severity="CRITICAL"} 2`,
			`lvs_problems{code="table_wrong",severity="CRITICAL"} 0`,
			`lvs_events_total{kind="instance_state"} 7`,
			`lvs_events_total{kind="reload_refused"} 0`,
			`lvs_hook_runs_total{result="failed"} 3`,
			`lvs_loop_heartbeats_total{loop="the checker"} 7`,
			`lvs_vrrp_state{vrrp_instance="mysql",state="MASTER"} 1`,
			`lvs_vrrp_state{vrrp_instance="mysql",state="BACKUP"} 0`,
			`lvs_vrrp_state{vrrp_instance="other",state="new state"} 1`,
			`lvs_vrrp_transitions_total{vrrp_instance="mysql",state="MASTER"} 2`,
			`lvs_vrrp_transitions_total{vrrp_instance="other",state="MASTER"} 0`,
			`lvs_vrrp_virtual_addresses_held{vrrp_instance="mysql"} 1`,
			`lvs_vrrp_virtual_addresses_held{vrrp_instance="other"} 0`,
			`lvs_vrrp_lease_remaining_seconds{vrrp_instance="mysql"} 2.5`,
			`lvs_vrrp_adverts_sent_total{vrrp_instance="mysql"} 18446744073709551615`,
			`lvs_vrrp_adverts_dropped_total{vrrp_instance="mysql",reason="a \"b\" \\ c\nd` + "\ufffd" + `"} 1`,
			`lvs_vrrp_advert_lateness_seconds_bucket{vrrp_instance="mysql",le="0.001"} 5`,
			`lvs_vrrp_advert_lateness_seconds_bucket{vrrp_instance="mysql",le="+Inf"} 6`,
			`lvs_vrrp_advert_lateness_seconds_sum{vrrp_instance="mysql"} 3.0015`,
			`lvs_virtual_server_state{virtual_server="v1",state="degraded"} 1`,
			`lvs_virtual_server_verdicts{virtual_server="v1",code="ok"} 2`,
			`lvs_virtual_server_connections_total{virtual_server="v0"} 1152921504606846976`,
			`lvs_real_server_state{virtual_server="v1",real_server="r1",state="up"} 1`,
			`lvs_real_server_incoming_bytes_total{virtual_server="v1",real_server="r1"} 1`,
			`lvs_check_results_total{virtual_server="v1",real_server="r0",result="good"} 10`,
			`lvs_check_last_duration_seconds{virtual_server="v1",real_server="r0"} 0.0015`,
			`lvs_check_duration_seconds_bucket{type="tcp",le="1"} 3`,
			`lvs_check_duration_seconds_count{type="tcp"} 4`,
			`lvs_track_check_results_total{track="gateway",result="bad"} 4`,
			`lvs_overrides{kind="drain"} 2`,
			`lvs_connection_sync_lacking_connections 3`,
		}},
		{agent(), []string{
			`lvs_problems{code="not_serving",severity="CRITICAL"} 1`,
			`lvs_realserver_virtual_server_up{virtual_server="mysql",address="10.77.0.100",port="3306",forward="dr"} 0`,
			`lvs_realserver_virtual_server_up{virtual_server="other",address="10.77.0.100",port="3307",forward="dr"} 1`,
			`lvs_realserver_setting_right{setting="net.ipv4.conf.all.arp_ignore"} 0`,
			`lvs_realserver_repairs_total{setting="lo 10.77.0.100/32"} 2`,
		}},
	} {
		got := text(t, tt.of)
		for _, want := range tt.want {
			if !strings.Contains("\n"+got, "\n"+strings.ReplaceAll(want, "c\nd", `c\nd`)+"\n") {
				t.Errorf("no %s in:\n%s", want, got)
			}
		}
	}
	if got := text(t, agent()); strings.Contains(got, "lvs_vrrp") {
		t.Errorf("metrics of a director:\n%s", got)
	}
}

// TestFormat: Prometheus' parser reads it, every family is there, no series is there twice, and its linter has nothing to say.
func TestFormat(t *testing.T) {
	seen := map[string]*dto.MetricFamily{}
	for _, n := range []metrics.Node{director(2, 2), agent(), {Director: &metrics.Director{}}} {
		got := text(t, n)
		problems, err := promlint.New(strings.NewReader(got)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		series := map[string]bool{}
		for line := range strings.Lines(got) {
			id := line[:strings.LastIndexByte(line, ' ')]
			if series[id] {
				t.Errorf("twice: %s", id)
			}
			series[id] = true
		}
		for name, family := range parsed(t, got) {
			seen[name] = family
		}
	}
	for _, f := range metrics.Families() {
		family := seen[f.Name]
		if family == nil {
			t.Errorf("%s: no samples", f.Name)
			continue
		}
		if family.GetHelp() != f.Help || !strings.EqualFold(family.GetType().String(), string(f.Type)) || strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: %s, %q", f.Name, family.GetType(), family.GetHelp())
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if slices.Contains(labels, "instance") || slices.Contains(labels, "job") {
			t.Errorf("%s has a label that Prometheus sets itself: %s", f.Name, labels)
		}
		if strings.Join(labels, ",") != strings.Join(f.Labels, ",") {
			t.Errorf("%s has the labels %s, declared are %s", f.Name, labels, f.Labels)
		}
	}
}

// TestCardinality: with 10 000 real servers there are a few series for each, as docs/metrics.md says: their number depends only on
// whether the kernel has an entry for it.
func TestCardinality(t *testing.T) {
	count := func(n metrics.Node) (series int) {
		for line := range strings.Lines(text(t, n)) {
			if !strings.HasPrefix(line, "#") {
				series++
			}
		}
		return series
	}
	const servers = 10_000
	one := count(director(1, 1))
	if got := count(director(1, servers)) - one; got != 20*(servers-1) {
		t.Errorf("%d series for %d more real servers, want 20 for each", got, servers-1)
	}
	without := director(1, servers)
	for i := range without.Director.Status.VirtualServers[0].RealServers {
		without.Director.Status.VirtualServers[0].RealServers[i].Traffic = nil
	}
	if got := count(director(1, servers)) - count(without); got != 5*servers {
		t.Errorf("%d series fewer without entries, want 5 for each", got)
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "A real server has 20 series, and 15 while the kernel has no entry for it") {
		t.Error("docs/metrics.md has another number of series for each real server")
	}
	worse := director(1, servers)
	for i := range worse.Director.Status.VirtualServers[0].RealServers {
		r := &worse.Director.Status.VirtualServers[0].RealServers[i]
		r.State, r.Code, r.Reason = "down", "refused", fmt.Sprintf("down: %d", i)
	}
	if more := count(worse) - count(director(1, servers)); more != 1 { // the code refused
		t.Errorf("%d more series when all servers are down", more)
	}
}

type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// TestGoneClient: nothing is written after an error.
func TestGoneClient(t *testing.T) {
	to := &broken{left: 100_000}
	if err := metrics.Write(to, director(1, 1000)); err != io.ErrClosedPipe || to.left < -50_000 {
		t.Errorf("%v, %d", err, to.left)
	}
}

// The page matches the declarations. After changing those: go test ./pkg/metrics -run TestReference -update.
func TestReference(t *testing.T) {
	pagetest.Section(t, "../../docs/metrics.md", "go test ./pkg/metrics -run TestReference -update", metrics.Reference(), *update)
}

// BenchmarkWrite is the work of a scrape after the status was made.
func BenchmarkWrite(b *testing.B) {
	for _, servers := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(servers), func(b *testing.B) {
			n := director(servers/4, 4)
			b.SetBytes(int64(len(text(b, n))))
			for b.Loop() {
				_ = metrics.Write(io.Discard, n)
			}
		})
	}
}
