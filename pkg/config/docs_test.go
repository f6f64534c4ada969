package config

import (
	"os"
	"regexp"
	"slices"
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
	for heading, s := range map[string]*section{
		"Top level":       topSection,
		"directors":       directorSection,
		"vrrp_instances":  instanceSection,
		"virtual_servers": virtualServerSection,
		"persistence":     persistenceSection,
		"real_servers":    realServerSection,
		"checks":          checkSection,
	} {
		for _, key := range slices.Concat(s.keys, s.reserved) {
			if !strings.Contains(chapters[heading], "`"+key+"`") {
				t.Errorf("the chapter %q does not say `%s`", heading, key)
			}
		}
	}
	for _, key := range slices.Concat(overrideSection.keys, overrideSection.reserved) {
		if !strings.Contains(chapters["vrrp_instances"], "`"+key+"`") {
			t.Errorf("the chapter vrrp_instances does not say `%s` of per_node", key)
		}
	}
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

// A word that hints at a key names one that the section has, and is no key itself.
func TestWords(t *testing.T) {
	for _, s := range append(sections(), overrideSection) {
		for key, w := range s.words {
			if key != strings.ToLower(key) || slices.Contains(s.keys, key) || slices.Contains(s.reserved, key) {
				t.Errorf("%s: %s is not reached", s.place, key)
			}
			if w.instead != "" && !slices.Contains(s.keys, w.instead) {
				t.Errorf("%s: %s hints at %s, which is no key", s.place, key, w.instead)
			}
			if w.message == "" || w.hint == "" {
				t.Errorf("%s: %s: %+v", s.place, key, w)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"name", "address", "port", "weight", "checks", "scheduler", "advert_interval"}
	for word, want := range map[string]string{
		"adress":          "address",
		"wieght":          "weight",
		"Scheduler":       "scheduler",
		"advert-interval": "advert_interval",
		"advert_intervl":  "advert_interval",
		"nmae":            "name",
		"pots":            "",
		"comment":         "",
		"":                "",
		"x":               "",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := nearest(strings.Repeat("a", 1<<20), keys); got != "" {
		t.Errorf("a very long word: %q", got)
	}
}
