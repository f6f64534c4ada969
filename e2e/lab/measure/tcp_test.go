package measure

import "testing"

func TestFirstLine(t *testing.T) {
	for answer, want := range map[string]string{
		"mysql1\n":                         "mysql1",
		"mysql1":                           "mysql1",
		"J\x00\x00\x00\x0a10.11.19\x00xyz": "mysql:10.11.19",
		"":                                 "",
	} {
		if got := firstLine([]byte(answer)); got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}
