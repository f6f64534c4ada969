package keepalived

import (
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// dump prints a tree with one statement per line, words separated by |, and the problems.
func dump(t *conftree.Tree) string {
	var b strings.Builder
	var print func(all []*conftree.Statement, indent string)
	print = func(all []*conftree.Statement, indent string) {
		for _, s := range all {
			var words []string
			for _, w := range s.Words {
				words = append(words, w.Text)
			}
			fmt.Fprintf(&b, "%s%d:%d %s", indent, s.At().Line, s.At().Column, strings.Join(words, "|"))
			for _, c := range append(append([]string{}, s.Comments...), s.Trailing) {
				if c != "" {
					b.WriteString(" #" + c)
				}
			}
			if s.IsBlock {
				b.WriteString(" {")
			}
			b.WriteString("\n")
			print(s.Block, indent+"  ")
		}
	}
	print(t.Statements, "")
	for _, p := range t.Problems {
		fmt.Fprintf(&b, "! %d:%d %s\n", p.At.Line, p.At.Column, p.Message)
	}
	return b.String()
}
