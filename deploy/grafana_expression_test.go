package deploy_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// expressions checks expressions in Prometheus' language. They have the form AGGREGATION by (LABELS) (...), also in histogram_quantile,
// so that the labels of the result can be read from them.
type expressions struct {
	families  map[string]metrics.Family
	values    map[string]map[string]bool // of labels with few values
	variables []string
	shown     map[string]bool // metrics that expressions have named
}

func newExpressions() *expressions {
	e := &expressions{families: map[string]metrics.Family{"up": {Name: "up", Type: metrics.Gauge}}, shown: map[string]bool{}}
	for _, f := range metrics.Families() {
		e.families[f.Name] = f
	}
	return e
}

var (
	// name is a metric, a function or an operator, with the selector and the range of a metric.
	name      = regexp.MustCompile(`(\w+\()?\b([a-z_][a-z_0-9]*)(\{[^}]*\})?(\[[^\]]*\])?`)
	labelList = regexp.MustCompile(`\b(by|on|group_left) \(([^)]*)\)`)
	comparing = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	resulting = regexp.MustCompile(`^(?:histogram_quantile\([0-9.]+, )?(?:sum|max|min|count)(?: by \(([^)]*)\))? \(`)
	template  = regexp.MustCompile(`\{\{([^}]*)\}\}`)
	reference = regexp.MustCompile(`\$\{?(\w+)`)
	ofValues  = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

	words      = []string{"or", "and", "bool", "sum", "max", "min", "count", "rate", "increase", "time", "histogram_quantile"}
	ofCounters = []string{"rate(", "increase("}
	ofGrafana  = []string{"__rate_interval"}
)

func (e *expressions) expression(t *testing.T, where, expr, legend string) {
	t.Helper()
	e.used(t, where, expr)
	result := resulting.FindStringSubmatch(expr)
	if result == nil || strings.Count(expr, "(") != strings.Count(expr, ")") {
		t.Errorf("%s: %s does not begin with an aggregation, or its parentheses do not match", where, expr)
		return
	}
	known := slices.Clone(ofPrometheus)
	selectors := labelList.ReplaceAllString(expr, " ")
	for _, m := range name.FindAllStringSubmatch(selectors, -1) {
		known = append(known, e.metric(t, where, m)...)
	}
	for _, list := range labelList.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(list[2], ", ") {
			if !slices.Contains(known, label) {
				t.Errorf("%s: %s: its metrics have no label %s", where, expr, label)
			}
		}
	}
	for _, m := range template.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(strings.Split(result[1], ", "), m[1]) {
			t.Errorf("%s: the legend has the label %s, which the result of %s has not", where, m[1], expr)
		}
	}
}

// metric checks what name has found, and returns the labels of the metric.
func (e *expressions) metric(t *testing.T, where string, m []string) []string {
	t.Helper()
	function, is, selector, within := m[1], m[2], m[3], m[4]
	if slices.Contains(words, is) && selector == "" {
		return nil
	}
	f, known := e.families[is]
	labels := slices.Concat(ofPrometheus, f.Labels)
	counter := f.Type == metrics.Counter
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if h, cut := strings.CutSuffix(is, suffix); cut && e.families[h].Type == metrics.Histogram {
			f, known, counter = e.families[h], true, true
			labels = slices.Concat(ofPrometheus, f.Labels, []string{"le"})
		}
	}
	if !known {
		t.Errorf("%s: there is no metric %s", where, is)
		return nil
	}
	e.shown[f.Name] = true
	if counter != slices.Contains(ofCounters, function) || counter != (within != "") {
		t.Errorf("%s: %s%s%s: of counters, and only of them, the rate or the increase is shown", where, function, is, within)
	}
	for _, c := range comparing.FindAllStringSubmatch(selector, -1) {
		if !slices.Contains(labels, c[1]) {
			t.Errorf("%s: %s has no label %s", where, is, c[1])
		}
		e.value(t, where, f.Name, c[1], c[3])
	}
	return labels
}

// value checks the value of a label, unless it is of the cluster file.
func (e *expressions) value(t *testing.T, where, family, label, value string) {
	t.Helper()
	if strings.HasPrefix(value, "$") {
		return
	}
	if e.values == nil {
		e.values = valuesOfLabels(t)
	}
	for one := range strings.SplitSeq(value, "|") {
		if !e.values[family+" "+label][one] {
			t.Errorf("%s: no %s has a label %s with the value %q", where, family, label, one)
		}
	}
}

// used checks that the variables in a text are declared.
func (e *expressions) used(t *testing.T, where, text string) {
	t.Helper()
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(e.variables, m[1]) && !slices.Contains(ofGrafana, m[1]) {
			t.Errorf("%s: there is no variable %s", where, m[1])
		}
	}
}

// variable checks a variable whose values are those of a label.
func (e *expressions) variable(t *testing.T, v dashboardVariable) {
	t.Helper()
	e.used(t, v.Name, v.Definition)
	query := ofValues.FindStringSubmatch(v.Definition)
	if query == nil {
		t.Errorf("variable %s: %q are no label_values", v.Name, v.Definition)
		return
	}
	if labels := e.metric(t, "variable "+v.Name, name.FindStringSubmatch(query[1])); !slices.Contains(labels, query[2]) {
		t.Errorf("variable %s: %s has no label %s", v.Name, query[1], query[2])
	}
}

// valuesOfLabels returns the values that the labels have in the metrics of a director and of an agent that have one thing of each kind.
func valuesOfLabels(t *testing.T) map[string]map[string]bool {
	t.Helper()
	values := map[string]map[string]bool{}
	for _, node := range []metrics.Node{sampleDirector(), {Head: status.Head{Role: "realserver"}, Agent: &status.Agent{}}} {
		var text bytes.Buffer
		if err := metrics.Write(&text, node); err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(&text)
		if err != nil {
			t.Fatal(err)
		}
		for family, f := range families {
			for _, sample := range f.GetMetric() {
				for _, l := range sample.GetLabel() {
					key := family + " " + l.GetName()
					if values[key] == nil {
						values[key] = map[string]bool{}
					}
					values[key][l.GetValue()] = true
				}
			}
		}
	}
	return values
}

func sampleDirector() metrics.Node {
	head := status.Head{Role: "director", Node: "a", Version: "1", ConfigDigest: "1"}
	return metrics.Node{
		Head:   head,
		Events: []metrics.EventCount{{Kind: event.InstanceState, Subject: "mysql", To: "MASTER", Count: 1}},
		Director: &metrics.Director{
			Status: status.Director{
				Head:           head,
				Instances:      []status.Instance{{Name: "mysql", State: "MASTER"}},
				Tracks:         []status.Track{{Name: "gateway", State: "up"}},
				SyncGroups:     []status.SyncGroup{{Name: "all", State: "MASTER"}},
				BFDSessions:    []status.BFDSession{{Name: "router", Interface: "eth0", State: "Up"}},
				VirtualServers: []status.VirtualServer{{Name: "mysql", State: "up", RealServers: []status.RealServer{{Name: "db1", State: "up", Code: "ok"}}}},
			},
			Checks: &metrics.Checks{Servers: []metrics.CheckCount{{VirtualServer: "mysql", RealServer: "db1", Good: 1}, {Track: "gateway", Good: 1}}},
		},
	}
}
