package ldirectord

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// dump returns a tree as text: line:column and the words of each statement, with those in quotes marked.
func dump(t *conftree.Tree) string {
	var b strings.Builder
	var print func(all []*conftree.Statement, indent string)
	print = func(all []*conftree.Statement, indent string) {
		for _, s := range all {
			fmt.Fprintf(&b, "%s%d", indent, s.At().Line)
			for _, w := range s.Words {
				quote := ""
				if w.Quoted {
					quote = `"`
				}
				fmt.Fprintf(&b, " %d:%s%s%s", w.At.Column, quote, w.Text, quote)
			}
			for _, c := range append(s.Comments, s.Trailing) {
				if c != "" {
					b.WriteString(" # " + c)
				}
			}
			b.WriteByte('\n')
			print(s.Block, indent+"  ")
		}
	}
	print(t.Statements, "")
	for _, p := range t.Problems {
		fmt.Fprintf(&b, "! %d:%d %s\n", p.At.Line, p.At.Column, p.Message)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"sections": {
			"# all\ncheckinterval=5\r\nvirtual = 10.77.0.1:80 # shop\n\t# first\n\treal=10.77.0.11:80 gate 3\n    scheduler=wrr\nfallback = 127.0.0.1\n",
			"2 1:checkinterval 15:5 # all\n3 1:virtual 11:10.77.0.1:80 # shop\n  5 2:real 7:10.77.0.11:80 21:gate 26:3 # first\n  6 5:scheduler 15:wrr\n7 1:fallback 12:127.0.0.1\n",
		},
		"quotes": {
			"virtual=1\n\treal=a gate 1 \"in, dex\", \"o k\"\n\trequest=\"a \"b\" c\"\n\treceive = \"open\n\tlogin=\"\"\n",
			"1 1:virtual 9:1\n  2 2:real 7:a 9:gate 14:1 16:\"in, dex\" 27:\"o k\"\n  3 2:request 10:\"a \"b\" c\"\n  4 2:receive 12:\"open\n  5 2:login 8:\"\"\n",
		},
		"an empty line ends a section": {
			"virtual=1\n\treal=a gate\n\n\treal=b gate\n\treal=c gate\n",
			"1 1:virtual 9:1\n  2 2:real 7:a 9:gate\n  4 2:real 7:b 9:gate\n  5 2:real 7:c 9:gate\n! 4:2 a blank line ends the virtual server of line 1, so ldirectord does not know this line: it is taken to belong to it\n",
		},
		"indentation": {
			" fork=yes\nvirtual=1\n  real=a gate\n virtual6=2\n",
			"1 2:fork 7:yes\n2 1:virtual 9:1\n  3 3:real 8:a 10:gate\n4 2:virtual6 11:2\n" +
				"! 1:2 ldirectord does not know an indented line that is in no virtual server: it is taken to be a global one\n" +
				"! 3:3 ldirectord demands an indentation of 4 blanks: the line is taken to belong to the virtual server of line 2\n" +
				"! 4:2 ldirectord demands an indentation of 4 blanks: the line is taken to belong to the virtual server of line 2\n" +
				"! 4:2 a virtual server begins at the begin of a line: it is taken to be one\n",
		},
		"a comment in quotes": {
			"virtual=1\n\trequest=\"a#b\"\n",
			"1 1:virtual 9:1\n  2 2:request 10:\"a # b\"\n! 2:12 ldirectord cuts the line at #, also in quotes\n",
		},
		"odd":       {"=\nsupervised\nfork\tyes\n = x", "1 1:=\n2 1:supervised\n3 1:fork 6:yes\n4 2:= 4:x\n! 4:2 ldirectord does not know an indented line that is in no virtual server: it is taken to be a global one\n"},
		"no text":   {"a\x00b", "! 1:1 the file has a byte 0: it is no text\n"},
		"long line": {strings.Repeat("a", 9<<10) + "\nb=1\n", "2 1:b 3:1\n! 1:1 the line has more than 8192 bytes, and is not read\n"},
		"long file": {strings.Repeat("a\n", 2<<20), "! 1:1 the file has more than 2097152 bytes\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, dump(Parse("a.cf", []byte(c.in)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A file with too many directives is read as far as the limit.
func TestManyDirectives(t *testing.T) {
	tree := Parse("a.cf", []byte(strings.Repeat("a=1\n", maxStatements+10)))
	if len(tree.Statements) != maxStatements || len(tree.Problems) != 1 || tree.Lines[maxStatements].Kind != conftree.Unreachable {
		t.Errorf("%d statements, problems %v", len(tree.Statements), tree.Problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("checktimeout=3\nvirtual=10.77.0.1:3306\n\treal=10.77.0.11->10.77.0.14:3306 gate 1 \"a\", \"b\" # c\n\n    service=mysql\n")
	f.Add("virtual6=[fd00::1]:80\r\n  real6=[fd00::11]:80 masq\r\n\tlogin=\"x#\"\r\n=\n")
	f.Fuzz(func(t *testing.T, in string) {
		tree := Parse("a.cf", []byte(in))
		var walk func(all []*conftree.Statement)
		walk = func(all []*conftree.Statement) {
			for _, s := range all {
				if len(s.Words) == 0 || s.At().Line < 1 || s.At().Line > len(tree.Lines) || s.At().Column < 1 {
					t.Fatalf("statement %+v", s)
				}
				walk(s.Block)
			}
		}
		walk(tree.Statements)
		for _, p := range tree.Problems {
			if p.Message == "" || p.At.Line < 1 || p.At.Column < 1 {
				t.Errorf("problem %+v", p)
			}
		}
		if dump(tree) != dump(Parse("a.cf", []byte(in))) {
			t.Error("the same file gives another tree")
		}
	})
}
