// Package pagetest compares parts of pages in docs that are generated with what generates them. It is not part of the product.
package pagetest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Section compares the part of a page that a command writes with want, or writes it. The part is between a comment with the
// command and a comment that ends it.
func Section(t *testing.T, file, command, want string, write bool) {
	t.Helper()
	begin, end := "<!-- Written by: "+command+" -->\n\n", "\n<!-- The end of what is written. -->"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(page), begin)
	have, tail, found := strings.Cut(rest, end)
	switch {
	case !found:
		t.Errorf("%s: no %q or no %q", file, begin, end)
	case write:
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case have != want:
		t.Errorf("%s is not what its source says; run %s (-committed +source):\n%s", file, command, cmp.Diff(have, want))
	}
}
