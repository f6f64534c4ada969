package config

import (
	"strings"
	"testing"
)

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
		if got := Nearest(word, keys); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Nearest(strings.Repeat("a", 1<<20), keys); got != "" {
		t.Errorf("a very long word: %q", got)
	}
}
