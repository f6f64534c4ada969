package config

import (
	"regexp"
	"strings"
	"testing"
)

// The reader and the schema accept the same names.
func TestIsName(t *testing.T) {
	pattern := regexp.MustCompile(namePattern)
	words := []string{"", strings.Repeat("a", 63), strings.Repeat("a", 64), "ä", "a\nb"}
	for c := range 256 {
		words = append(words, "a"+string([]byte{byte(c)}), string([]byte{byte(c)})+"a")
	}
	for _, s := range words {
		if isName(s) != pattern.MatchString(s) {
			t.Errorf("%q: %t", s, isName(s))
		}
	}
}
