package docs_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// instanceKeys returns the keys of an instance in the cluster file.
func instanceKeys(t *testing.T) []string {
	t.Helper()
	var schema struct {
		Properties struct {
			Instances struct {
				Items struct{ Properties map[string]any }
			} `json:"vrrp_instances"`
		}
	}
	if err := json.Unmarshal(config.JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key := range schema.Properties.Instances.Items.Properties {
		keys = append(keys, key)
	}
	if len(keys) < 10 {
		t.Fatalf("only %d keys", len(keys))
	}
	return keys
}

var cell = regexp.MustCompile("`([^`]+)`")

// rowsOf returns the rows of the tables in a part of a page, each as the code of its cells.
func rowsOf(text string) (rows [][][]string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		var row [][]string
		for _, column := range strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			var code []string
			if text := strings.TrimSpace(column); strings.Contains(text, "`") && !strings.HasPrefix(text, "`") {
				code = append(code, "") // prose
			}
			for _, m := range cell.FindAllStringSubmatch(column, -1) {
				code = append(code, m[1])
			}
			row = append(row, code)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestEveryKeyword: the table of keepalived's keywords in vrrp.md has every word that the parser knows for an instance,
// and the keys beside them exist and are those that the parser names.
func TestEveryKeyword(t *testing.T) {
	page, err := os.ReadFile("vrrp.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("cluster-file.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## keepalived's keywords of `vrrp_instance`")
	table, elsewhere, more := strings.Cut(table, "Elsewhere in keepalived:")
	_, words, also := strings.Cut(string(reference), "## Words of keepalived")
	if !found || !more || !also {
		t.Fatal("a heading is missing")
	}
	keys, here := instanceKeys(t), map[string][]string{}
	for _, row := range rowsOf(table) {
		if len(row) != 3 {
			t.Errorf("not three columns: %v", row)
			continue
		}
		for _, word := range row[0] {
			if _, twice := here[word]; twice {
				t.Errorf("%s is there twice", word)
			}
			here[word] = row[1]
		}
		for _, key := range row[1] {
			if !slices.Contains(keys, key) {
				t.Errorf("%v: there is no key %s", row[0], key)
			}
		}
	}
	for _, row := range rowsOf(words) {
		if len(row) != 3 || !slices.Contains(row[1], "vrrp_instances") {
			continue
		}
		for _, word := range row[0] {
			given, there := here[word]
			key := ""
			if len(row[2]) > 0 {
				key, _, _ = strings.Cut(row[2][0], ":")
			}
			switch {
			case there && slices.Contains(keys, key) && !slices.Contains(given, key):
				t.Errorf("%s: vrrp.md says %v, cluster-file.md %s", word, given, key)
			case !there && !strings.Contains(table, "`"+word+"`"):
				t.Errorf("%s is in cluster-file.md and not in vrrp.md", word)
			}
		}
	}
	if len(here) < 60 {
		t.Errorf("only %d keywords", len(here))
	}
	for _, word := range []string{"SNMP", "D-Bus", "auth_hmac", "AH", "net_namespace", "static_"} {
		if !strings.Contains(elsewhere, word) {
			t.Errorf("%s is missing", word)
		}
	}
}
