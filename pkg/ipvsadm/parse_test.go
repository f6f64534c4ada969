package ipvsadm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// dump returns a tree as text: a line for each command, with the column and the words of each option.
func dump(t *conftree.Tree) string {
	var b strings.Builder
	for _, s := range t.Statements {
		fmt.Fprintf(&b, "%d:%d %s", s.At().Line, s.At().Column, strings.Join(append([]string{s.Keyword()}, s.Args()...), " "))
		for _, o := range s.Block {
			fmt.Fprintf(&b, " | %d %s", o.At().Column, strings.Join(append([]string{o.Keyword()}, o.Args()...), " "))
		}
		for _, c := range append(s.Comments, s.Trailing) {
			if c != "" {
				b.WriteString(" # " + c)
			}
		}
		b.WriteByte('\n')
	}
	for _, p := range t.Problems {
		fmt.Fprintf(&b, "! %d:%d %s\n", p.At.Line, p.At.Column, p.Message)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"-A -t 10.77.0.1:80 -s wrr -p 50 -o\n":                        "1:2 add-service | 5 tcp-service 10.77.0.1:80 | 21 scheduler wrr | 28 persistent 50 | 34 ops\n",
		"-a -f 5 -6 -r [fd00::11]:0 -g -w 1":                          "1:2 add-server | 5 fwmark-service 5 | 10 ipv6 | 13 real-server [fd00::11]:0 | 29 gatewaying | 32 weight 1\n",
		"# shop\n#\nipvsadm -At 10.77.0.1:80 -p -swrr # x\n":          "3:10 add-service | 11 tcp-service 10.77.0.1:80 | 27 persistent | 30 scheduler wrr # shop # x\n",
		"sudo /sbin/ipvsadm --add-service --tcp-service=10.77.0.1:80": "1:20 add-service | 34 tcp-service 10.77.0.1:80\n",
		"-A -u 10.77.0.1:53 -s rr ops":                                "1:2 add-service | 5 udp-service 10.77.0.1:53 | 21 scheduler rr | 26 ops\n",
		"--set 900 120 300\n--start-daemon master --syncid 7":         "1:1 set 900 120 300\n2:1 start-daemon master | 23 syncid 7\n",
		"-A -t 10.77.0.1:80 -s\n-A -qz --what\n-C\n":                  "1:2 add-service | 5 tcp-service 10.77.0.1:80 | 21 scheduler\n2:2 add-service | 5 -q | 6 -z | 8 what\n3:2 clear\n",
		"-t 10.77.0.1:80\n":                                           "! 1:1 the line has no command\n",
		"-\n--\n":                                                     "! 1:1 the line has no command\n! 2:1 the line has no command\n",
		"-A -D -t 10.77.0.1:80\n":                                     "1:2 add-service | 8 tcp-service 10.77.0.1:80\n! 1:5 the line has two commands\n",
		"VIP=10.77.0.1\nipvsadm -A -t $VIP:80\nipvsadm\n":             "! 1:1 this is a line of a shell script\n! 2:1 this is a line of a shell script\n! 3:1 ipvsadm without a command prints the table\n",
		"IP Virtual Server version 1.2.1 (size=4096)\n-A -f 1\n":      "! 1:1 this is what ipvsadm -L prints, and has not everything of the table\n",
		"a\x00b": "! 1:1 the file has a byte 0: it is no text\n",
	} {
		if diff := cmp.Diff(want, dump(Parse("a", []byte(in)))); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

// A file with too many commands is read as far as the limit.
func TestManyCommands(t *testing.T) {
	tree := Parse("a", []byte(strings.Repeat("-C\n", maxCommands+300)))
	if len(tree.Statements) != maxCommands || len(tree.Problems) == 0 || tree.Lines[maxCommands].Kind != conftree.Unreachable {
		t.Errorf("%d statements, %d problems", len(tree.Statements), len(tree.Problems))
	}
}

// No two options have the same name of one letter.
func TestOptionsDiffer(t *testing.T) {
	seen := map[byte]string{}
	for _, o := range options {
		if before, known := seen[o.short]; known && o.short != 0 {
			t.Errorf("-%c is %s and %s", o.short, before, o.long)
		}
		seen[o.short] = o.long
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-A -t 10.77.0.1:80 -s wrr -p 300 -M 255.255.255.0\n-a -t 10.77.0.1:80 -r 10.77.0.11:80 -g -w 1\n")
	f.Add("#!/bin/sh\nipvsadm -At$VIP --set 1 2 3\n--=-\n-\n--start-daemon\n-p=-p\n")
	f.Fuzz(func(t *testing.T, in string) {
		tree := Parse("a", []byte(in))
		for _, s := range tree.Statements {
			if len(s.Words) == 0 || !s.IsBlock || s.At().Line < 1 || s.At().Line > len(tree.Lines) || s.At().Column < 1 {
				t.Fatalf("statement %+v", s)
			}
			for _, o := range s.Block {
				if len(o.Words) == 0 || o.At().Line != s.At().Line || o.At().Column < 1 {
					t.Fatalf("option %+v", o)
				}
			}
		}
		if dump(tree) != dump(Parse("a", []byte(in))) {
			t.Error("the same file gives another tree")
		}
	})
}
