package keepalived

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// The results are those of keepalived 2.2.7 (keepalived -t), which names the first word of each statement that it does
// not know, except where a problem says that it does something else.
func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                     {"", ""},
		"comments":                    {"# one\n! two\na b # three\n\nc#d\ne \"f#g\" \\#h\n", "3:1 a|b #one #two #three\n5:1 c #d\n6:1 e|f#g|#h\n"},
		"quotes begin and end words":  {`a"b c"d` + "\n" + `a "b\tc"`, "1:1 a|b c|d\n2:1 a|b\\tc\n"},
		"a quote that is open":        {"a \"b\nc", "1:1 a|b\n2:1 c\n! 1:3 a quote is not closed\n"},
		"braces":                      {"a{\nb {c d}\n}\ne\n{ f }", "1:1 a {\n  2:1 b {\n    2:4 c|d\n4:1 e {\n  5:3 f\n"},
		"one line":                    {"a { b 1 c 2 }", "1:1 a {\n  1:5 b|1|c|2\n"},
		"CRLF":                        {"a {\r\n  b\r\n}\r\n", "1:1 a {\n  2:3 b\n"},
		"byte order mark":             {"\ufeffa", "1:1 a\n"},
		"a brace too many":            {"a {\n}\n}\nb", "1:1 a {\n4:1 b\n! 3:1 a } that closes no block\n"},
		"a brace too few":             {"a {\nb", "1:1 a {\n  2:1 b\n! 1:1 the } of block a is missing\n"},
		"a brace in a comment":        {"vrrp_sync_group g {\nsmtp_alert #mail}\nvrrp_instance v {\n}", "1:1 vrrp_sync_group|g {\n  2:1 smtp_alert #mail}\n3:1 vrrp_instance|v {\n! 3:1 a } is missing before this line: the block vrrp_sync_group of line 1 is still open\n"},
		"a brace alone":               {"{ a }", "1:3 a\n! 1:1 a { without a keyword before it, which keepalived ignores, but not its }\n! 1:5 a } that closes no block\n"},
		"a backslash":                 {"a \\\nb", "1:1 a\n2:1 b\n! 1:3 a \\ at the end of a line continues only the value of a definition: keepalived takes it as a word\n"},
		"definitions":                 {"$A=foo\nx_$A y\nx_${A}b\n$A,z\n$A/z\n$B\n$ C=1\n", "2:1 x_foo|y\n3:1 x_foob\n4:1 foo,z\n5:1 $A/z\n6:1 $B\n7:1 $|C=1\n"},
		"an empty definition":         {"$E=\nx$E y\n${E}z", "2:1 x|y\n3:5 z\n"},
		"a definition of definitions": {"$A=1${B}\n$B=2\n$A\n$B=3\n${A}4", "3:1 12\n5:1 134\n"},
		"a definition of lines":       {"$M= \\\n a { \\\n # comment \\\n b $N \\\n }\n$N=1\n$M\n$N=2\nx $M", "2:2 a {\n  4:2 b|1\n9:1 x|a {\n  4:2 b|2\n"},
		"an empty line ends it":       {"$M= \\\n a \\\n\nb\n$M", "4:1 b\n2:2 a\n"},
		"nested definitions":          {"$R= \\\n r$I { \\\n }\n$V= \\\n v { \\\n $I=1 \\\n $R \\\n $I=2 \\\n $R \\\n }\n$V", "5:2 v {\n  2:2 r1 {\n  2:2 r2 {\n"},
		"a definition of itself":      {"$A=$A\n$A", "! 2:1 the line names more than 256 definitions or gets more than 8192 bytes; does $A name itself?\n"},
		"lines of themselves":         {"$A= \\\n b \\\n $A\n$A", strings.Repeat("2:2 b\n", 32) + "! 2:2 definitions or sequences are nested more than 32 times\n! 3:2 definitions or sequences are nested more than 32 times\n"},
		"sequences":                   {"~SEQ(A,3) s$A\n~SEQ(B,3,1) t$B\n~SEQx(C, 8, 2, 12) u$C x\n~SEQ(D,1,2) ~SEQ(E,1,2) v${D}${E}", "1:11 s1\n1:11 s2\n1:11 s3\n2:13 t3\n2:13 t2\n2:13 t1\n3:20 u8|x\n3:20 ua|x\n3:20 uc|x\n4:25 v11\n4:25 v12\n4:25 v21\n4:25 v22\n"},
		"lists":                       {"~LST(A,x,y) l$A\n~LST({G,H}, {1,2},{3,4}) m${G}-${H}", "1:13 lx\n1:13 ly\n2:26 m1-2\n2:26 m3-4\n"},
		"bad sequences":               {"~SEQ(A,1,0,5) x\n~SEQ(A,1000000) x\n~LST(A) x\n~LST({A,B},{1}) x\n~SEQ A", "! 1:1 '~SEQ(A,1,0,5)' is no sequence, or one of more than 10000 lines\n! 2:1 '~SEQ(A,1000000)' is no sequence, or one of more than 10000 lines\n! 3:1 '~LST(A)' is no sequence, or one of more than 10000 lines\n! 4:1 '~LST({A,B},{1})' is no sequence, or one of more than 10000 lines\n! 5:1 '~SEQ A' is no sequence: ~SEQ(NAME, FROM, TO) or ~LST(NAME, VALUE, …)\n"},
		"too many lines":              {"~SEQ(A,9999) ~SEQ(B,9999) x", strings.Repeat("1:27 x\n", maxStatements) + "! 1:27 the file has more than 100000 statements: the rest is not read\n"},
		"the environment":             {"a ${_ENV HOME} ${_PWD}/x ${_HASH}${_BANG}", "1:1 a|${_ENV {\n  1:10 HOME\n"},
		"spaces that are none":        {"\u00a0\na\u00a0b\u3000{\n\u00a0}\u00a0\n", "2:1 a|b {\n! 2:1 the line has a no-break or ideographic space, which keepalived takes for a part of a word: it is read as a blank\n"},
		"a template":                  {"a {\n  priority {{ prio }}\n}", "! 2:1 this is a template, not a keepalived.conf\n"},
		"no text":                     {"a\x00", "! 1:1 the file has a byte 0: it is no text\n"},
	} {
		if name == "the environment" { // braces of what is not replaced are braces
			c.want = "1:1 a|$ {\n  1:5 _ENV|HOME\n1:16 etc/x|#!\n! 1:3 ${_ENV} is a value from the environment of keepalived, which is not known here\n"
		}
		t.Run(name, func(t *testing.T) {
			tree := Parse("etc/keepalived.conf", []byte(c.in), Options{})
			if diff := cmp.Diff(c.want, dump(tree)); diff != "" {
				t.Error(diff)
			}
			checkLines(t, tree, c.in)
		})
	}
}

// checkLines compares the recorded lines with the text.
func checkLines(t *testing.T, tree *conftree.Tree, in string) {
	t.Helper()
	if strings.Contains(in, "\x00") {
		return
	}
	in = strings.TrimSuffix(strings.TrimPrefix(in, "\ufeff"), "\n")
	for i, line := range strings.Split(in, "\n") {
		if i >= len(tree.Lines) || tree.Lines[i].Text != strings.TrimRight(line, "\r") || tree.Lines[i].At.Line != i+1 {
			t.Fatalf("line %d is not recorded", i+1)
		}
	}
}

func TestConditions(t *testing.T) {
	const in = "@foo a\n@^foo b\n@bar c\n@^bar d\n@foo\n@ foo e\n@foo $Z=1\nz$Z\n$I=@foo\n$I f\n@foo @foo g\nx {\n@bar y }\n}"
	tree := Parse("a.conf", []byte(in), Options{Host: "foo"})
	if diff := cmp.Diff("1:6 a\n4:7 d\n8:1 z1\n10:4 f\n11:6 @foo|g\n12:1 x {\n", dump(tree)); diff != "" {
		t.Error(diff)
	}
	if want := []string{"foo", "bar", ""}; !slices.Equal(tree.Hosts, want) {
		t.Errorf("hosts %q, want %q", tree.Hosts, want)
	}
	if tree.Lines[1].Kind != conftree.OtherHost || tree.Lines[0].Kind != conftree.Statements || tree.Lines[6].Kind != conftree.Definition {
		t.Errorf("kinds %+v", tree.Lines[:7])
	}
	tree = Parse("a.conf", []byte("@foo a\nb"), Options{})
	if diff := cmp.Diff("2:1 b\n! 1:1 the line is for the host 'foo' only\n", dump(tree)); diff != "" {
		t.Error(diff)
	}
}

// tree of files in memory; * matches the rest of the name.
type files map[string]string

func (f files) Match(pattern string) (names []string) {
	for name := range f {
		begin, _, star := strings.Cut(pattern, "*")
		if name == pattern || star && strings.HasPrefix(name, begin) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (f files) Read(name string) ([]byte, error) {
	if name == "etc/unreadable" {
		return nil, errors.New("permission denied")
	}
	return []byte(f[name]), nil
}

func TestInclude(t *testing.T) {
	in := files{
		"etc/sub/a": "sub_a\ninclude b", "etc/sub/b": "b {\n c\n}", "etc/loop": "loop\ninclude loop", "etc/unreadable": "",
	}
	const main = "include sub/a\ninclude sub/{b,nothing}\ng { include sub/b\n}\n@x include sub/b\ninclude $D/b\ninclude \"sub/b\"\nincludea sub/*\ninclude unreadable\ninclude\n"
	tree := Parse("etc/main", []byte(main), Options{Files: in, Host: "x"})
	want := "1:1 sub_a\n1:1 b {\n  2:2 c\n1:1 b {\n  2:2 c\n3:1 g {\n  3:5 include|sub/b\n1:1 b {\n  2:2 c\n1:1 sub_a\n1:1 b {\n  2:2 c\n1:1 b {\n  2:2 c\n10:1 include\n" +
		"! 6:9 no file matches '$D/b'\n! 7:9 no file matches '\"sub/b\"'\n! 9:9 'etc/unreadable' cannot be read: permission denied\n"
	if diff := cmp.Diff(want, dump(tree)); diff != "" {
		t.Error(diff)
	}
	if at := tree.Statements[0].At().String(); at != "etc/sub/a:1:1" {
		t.Errorf("position %s", at)
	}
	tree = Parse("etc/loop", []byte(in["etc/loop"]), Options{Files: in})
	if diff := cmp.Diff(strings.Repeat("1:1 loop\n", 17)+"! 2:9 more than 16 files include each other\n", dump(tree)); diff != "" {
		t.Error(diff)
	}
}

func TestBraces(t *testing.T) {
	for pattern, want := range map[string]string{
		"a": "a", "{a,b}c": "ac bc", "x{a,{b,c}d}": "xa xbd xcd", "{a": "{a", "a}": "a}", "{foo/{,cat,dog},bar}": "foo/ foo/cat foo/dog bar",
	} {
		if got := strings.Join(braces(pattern), " "); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
	if n := len(braces(strings.Repeat("{a,b}", 40))); n > maxFiles {
		t.Errorf("%d alternatives", n)
	}
}

func TestScript(t *testing.T) {
	for raw, want := range map[string]string{
		`script /bin/true`:                            "/bin/true",
		`script "/bin/check -h 127.0.0.1"`:            "/bin/check|-h|127.0.0.1",
		`notify_master /bin/x root wheel`:             "/bin/x + root|wheel",
		`notify "/bin/x 'a b' c" root`:                "/bin/x|a b|c + root",
		`s "/bin/x ' s\\\\x20f\\x69le ' '\\\"q\\\"'"`: `/bin/x| s\x20file |"q"`,
		`s "/bin/x \\101\\cA\\n"`:                     "/bin/x|A\x01\n",
		`s ""`:                                        "",
		`s`:                                           "",
		`s "a\`:                                       `a\`,
	} {
		command, others := Script(raw, 1)
		got := strings.Join(command, "|")
		if others != nil {
			got += " + " + strings.Join(others, "|")
		}
		if got = strings.TrimSuffix(got, " + "); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
