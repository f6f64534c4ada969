package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/cluster-file.md knows every key that is read or reserved, under the heading of its section, and its examples are
// valid without a warning.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/cluster-file.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	chapters := map[string]string{}
	for _, chapter := range regexp.MustCompile(`(?m)^##+ `).Split(text, -1)[1:] {
		heading, body, _ := strings.Cut(chapter, "\n")
		chapters[strings.Trim(heading, "`")] = body
	}
	newClusterFile(checkKinds()).eachSection(func(s *section) {
		heading := map[string]string{"": "Top level", "per_node": "vrrp_instances", "tracks": "checks"}[s.name]
		if heading == "" {
			heading = s.name
		}
		names := s.names()
		for _, r := range s.reserved {
			names = append(names, r.name)
		}
		for _, key := range names {
			if !strings.Contains(chapters[heading], "`"+key+"`") && s.name != "tracks" {
				t.Errorf("the chapter %q does not say `%s`", heading, key)
			}
		}
	})
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(examples) < 2 {
		t.Errorf("%d examples", len(examples))
	}
	for _, example := range examples {
		if _, problems := Parse("example", []byte(example[1])); len(problems) > 0 {
			t.Errorf("problems:\n%sof\n%s", problems, example[1])
		}
	}
}
