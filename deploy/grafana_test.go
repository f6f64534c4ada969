package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/metrics"
)

// dashboard is what the tests need of a dashboard of Grafana.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Panels        []dashboardPanel
	Links         []dashboardLink
	Annotations   struct{ List []dashboardAnnotation }
	Templating    struct{ List []dashboardVariable }
}

type dashboardPanel struct {
	ID                               int
	Type, Title, Description, Repeat string
	Datasource                       struct{ UID string }
	GridPos                          struct{ X, Y, W, H int }
	Panels                           []dashboardPanel // of a row that is closed
	Links                            []dashboardLink
	Targets                          []dashboardTarget
	FieldConfig                      struct {
		Defaults struct{ Unit string }
	}
}

type dashboardTarget struct {
	Expr, LegendFormat, RefID string
	Datasource                struct{ UID string }
}

type (
	dashboardLink       struct{ Title, URL string }
	dashboardAnnotation struct{ Type, Name, Expr, TitleFormat string }
	dashboardVariable   struct{ Name, Type, Definition, Description string }
)

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/lvs-director.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// all returns the panels, also those of closed rows.
func (d dashboard) all() []dashboardPanel {
	var all []dashboardPanel
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

var uid = regexp.MustCompile(`"uid": "([^"]*)"`)

// TestDashboardDataSource: everything asks the data source that the user has chosen.
func TestDashboardDataSource(t *testing.T) {
	text, err := os.ReadFile("grafana/lvs-director.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range uid.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains([]string{"${datasource}", "-- Grafana --", "lvs-director"}, m[1]) {
			t.Errorf("%s is neither the variable, nor Grafana itself, nor this dashboard", m[1])
		}
	}
}

// unitOf has the units of expressions, in Grafana's names. The first match counts; tables have a unit for each column.
var unitOf = []struct {
	expr *regexp.Regexp
	unit string
}{
	{regexp.MustCompile(`histogram_quantile|_seconds\{`), "s"},
	{regexp.MustCompile(`rate\(\w+_bytes_total`), "Bps"},
	{regexp.MustCompile(`rate\(\w+_packets_`), "pps"},
	{regexp.MustCompile(`rate\(`), "cps"},
	{regexp.MustCompile(`_bytes\{`), "bytes"},
	{regexp.MustCompile(`_weight\{|_priority\{`), "none"},
	{regexp.MustCompile(``), "short"},
}

// TestDashboardUnits: the unit of a graph is that of its metrics.
func TestDashboardUnits(t *testing.T) {
	for _, p := range readDashboard(t).all() {
		if p.Type != "timeseries" {
			continue
		}
		for _, target := range p.Targets {
			for _, u := range unitOf {
				if u.expr.MatchString(target.Expr) {
					if p.FieldConfig.Defaults.Unit != u.unit {
						t.Errorf("%s: the unit of %s is %s, the panel has %s", p.Title, target.Expr, u.unit, p.FieldConfig.Defaults.Unit)
					}
					break
				}
			}
		}
	}
}

// builtIn are the types of panels that are in every Grafana.
var builtIn = []string{"row", "stat", "state-timeline", "table", "timeseries"}

// TestDashboardPanels: every panel says what it shows, in which unit, and which section of the documentation says what to do. It has a
// place of its own.
func TestDashboardPanels(t *testing.T) {
	d := readDashboard(t)
	ids := map[int]string{}
	for _, p := range d.all() {
		if other, used := ids[p.ID]; used || p.ID <= 0 {
			t.Errorf("%s: the id %d is that of %q too, or not positive", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		if p.Title == "" || !slices.Contains(builtIn, p.Type) {
			t.Errorf("panel %d, %q: it has no title, or its type %q is not in every Grafana", p.ID, p.Title, p.Type)
		}
		if p.Type == "row" {
			continue
		}
		if !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || len(p.Links) == 0 {
			t.Errorf("%s: a panel has a description, a unit, an expression and a link", p.Title)
		}
		if p.Datasource.UID == "" {
			t.Errorf("%s: it has no data source, so it asks the default one", p.Title)
		}
	}
	if len(ids) < 50 || d.Title == "" || d.UID == "" || d.SchemaVersion != 39 {
		t.Errorf("%d panels of %q, uid %q, schema %d", len(ids), d.Title, d.UID, d.SchemaVersion)
	}
	checkPlaces(t, d.Panels)
	for _, p := range d.Panels {
		if len(p.Panels) > 0 && p.Type != "row" {
			t.Errorf("%s has panels and is no row", p.Title)
		}
		checkPlaces(t, p.Panels)
	}
}

// checkPlaces checks that panels are in the grid, which is 24 wide, and do not overlap.
func checkPlaces(t *testing.T, panels []dashboardPanel) {
	t.Helper()
	for i, p := range panels {
		a := p.GridPos
		if a.X < 0 || a.Y < 0 || a.W < 1 || a.H < 1 || a.X+a.W > 24 {
			t.Errorf("%s is outside of the grid: %v", p.Title, a)
		}
		for _, other := range panels[:i] {
			b := other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s and %s overlap: %v, %v", p.Title, other.Title, a, b)
			}
		}
	}
}

var docsURL = regexp.MustCompile(`https://[^"]*`)

// TestDashboardLinks: all links lead to sections of the documentation, the runbooks among them.
func TestDashboardLinks(t *testing.T) {
	const docs = "https://github.com/lvs-director/lvs-director/blob/main/docs/"
	text, err := os.ReadFile("grafana/lvs-director.json")
	if err != nil {
		t.Fatal(err)
	}
	sections, runbooks := map[string][]string{}, 0
	for _, url := range docsURL.FindAllString(string(text), -1) {
		place, ours := strings.CutPrefix(url, docs)
		page, section, has := strings.Cut(place, "#")
		if !ours || !has || strings.Contains(page, "/") {
			t.Errorf("%s is no section of docs", url)
			continue
		}
		if sections[page] == nil {
			sections[page] = headings(t, "../docs/"+page)
		}
		if !slices.Contains(sections[page], section) {
			t.Errorf("docs/%s has no section %s", page, section)
		}
		if page == "operations.md" {
			runbooks++
		}
	}
	if runbooks < 30 {
		t.Errorf("only %d links to runbooks", runbooks)
	}
}

// notShown are the metrics that the dashboard does not have, with the reason.
var notShown = map[string]string{
	"lvs_vrrp_state_change_timestamp_seconds": "the timeline of the states shows the moment",
	"lvs_vrrp_virtual_addresses":              "a number of the cluster file",
}

// TestDashboardExpressions: the expressions of panels, variables and annotations name metrics, labels, values of labels and variables
// that there are, and their legends labels that the result has. Every metric is shown.
func TestDashboardExpressions(t *testing.T) {
	d := readDashboard(t)
	check := newExpressions()
	for _, v := range d.Templating.List {
		check.variables = append(check.variables, v.Name)
	}
	for _, v := range d.Templating.List {
		if v.Description == "" || v.Type != "query" && v.Type != "datasource" {
			t.Errorf("variable %s: it has no description, or an unexpected type %q", v.Name, v.Type)
		}
		if v.Type == "query" {
			check.variable(t, v)
		}
	}
	for _, a := range d.Annotations.List {
		if a.Type != "dashboard" { // that is Grafana's own
			check.expression(t, "annotation "+a.Name, a.Expr, a.TitleFormat)
		}
	}
	check.shown = map[string]bool{}
	for _, p := range d.all() {
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource.UID == "" {
				t.Errorf("%s: expression %q is there twice, or has no data source", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			check.expression(t, p.Title, target.Expr, target.LegendFormat)
		}
		if p.Repeat != "" && !slices.Contains(check.variables, p.Repeat) {
			t.Errorf("%s is repeated for %s, which is no variable", p.Title, p.Repeat)
		}
		check.used(t, p.Title, p.Title)
	}
	for _, f := range metrics.Families() {
		isInfo := strings.HasSuffix(f.Name, "_info") // it has the labels of variables
		if shown := check.shown[f.Name]; !isInfo && shown == (notShown[f.Name] != "") {
			t.Errorf("%s: shown: %t. A metric is on the dashboard, or notShown says why not", f.Name, shown)
		}
	}
}
