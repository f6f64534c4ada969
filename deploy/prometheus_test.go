package deploy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// alert is an alerting rule of Prometheus.
type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile("prometheus/lvs-director.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b(lvs_[a-z_]+|go_[a-z_]+)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)=~?"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	inText   = regexp.MustCompile(`\$labels\.([a-z_]+)`)
)

// ofPrometheus are the labels that Prometheus itself adds.
var ofPrometheus = []string{"job", "instance"}

// TestAlerts: every alert names metrics, labels and problem severities that there are, and a section of docs/operations.md. That each
// fires for its fault is in prometheus/lvs-director.test.yml, for promtool.
func TestAlerts(t *testing.T) {
	labelsOf := map[string][]string{}
	for _, f := range metrics.Families() {
		labelsOf[f.Name] = append(slices.Clone(ofPrometheus), f.Labels...)
	}
	tested, err := os.ReadFile("prometheus/lvs-director.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := headings(t, "../docs/operations.md")
	for _, a := range alerts(t) {
		known := slices.Clone(ofPrometheus)
		for _, m := range selector.FindAllStringSubmatch(a.Expr, -1) {
			if labelsOf[m[1]] == nil {
				t.Errorf("%s: there is no metric %s", a.Alert, m[1])
			}
			known = append(known, labelsOf[m[1]]...)
			for _, label := range matcher.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labelsOf[m[1]], label[1]) {
					t.Errorf("%s: %s has no label %s", a.Alert, m[1], label[1])
				}
				if label[1] == "severity" && label[2] != string(problem.Critical) && label[2] != string(problem.Warning) {
					t.Errorf("%s: no problem has the severity %s", a.Alert, label[2])
				}
			}
		}
		var used []string
		for _, g := range grouping.FindAllStringSubmatch(a.Expr, -1) {
			used = append(used, strings.Split(g[1], ", ")...)
		}
		for _, m := range inText.FindAllStringSubmatch(a.Annotations["summary"], -1) {
			used = append(used, m[1])
		}
		for _, label := range used {
			if !slices.Contains(known, label) {
				t.Errorf("%s: its metrics have no label %s", a.Alert, label)
			}
		}
		checkAlertText(t, a, sections)
		if !strings.Contains(string(tested), "alertname: "+a.Alert+",") || !strings.Contains(string(page), "| `"+a.Alert+"` |") {
			t.Errorf("%s is not in prometheus/lvs-director.test.yml, or not in docs/metrics.md", a.Alert)
		}
	}
}

func checkAlertText(t *testing.T, a alert, sections []string) {
	t.Helper()
	const runbook = "https://github.com/lvs-director/lvs-director/blob/main/docs/operations.md#"
	section, is := strings.CutPrefix(a.Annotations["runbook_url"], runbook)
	if !is || !slices.Contains(sections, section) {
		t.Errorf("%s: the runbook %s is no section of docs/operations.md", a.Alert, a.Annotations["runbook_url"])
	}
	if a.Annotations["summary"] == "" || a.Labels["severity"] != "critical" && a.Labels["severity"] != "warning" {
		t.Errorf("%s has no summary or no severity", a.Alert)
	}
}

// headings returns the anchors of the sections of a page.
func headings(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		name := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		all = append(all, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, ""))
	}
	return all
}
