package keepalived

import (
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// fragments are shapes of files that are in use.
var fragments = []string{
	"! Configuration File\nglobal_defs {\n   notification_email {\n     a@example.com\n   }\n   router_id LVS_1\n}\n",
	"vrrp_script chk { # check\n    script \"/etc/check.sh -h 127.0.0.1\"\n    interval 2\n    weight -5\n}\nvrrp_instance VI_1 {\n    state BACKUP\n    nopreempt\n    authentication {\n        auth_type PASS\n        auth_pass 1111\n    }\n    track_script {\n       chk\n    }\n    virtual_ipaddress {\n        192.0.2.1/24 dev eth1 label eth1:1\n    }\n}\n",
	"virtual_server 192.0.2.1 3306 {\n    lb_kind DR\n    real_server 192.0.2.11 3306 {\n        TCP_CHECK {\n            connect_timeout 3\n        }\n    }\n}\n",
	"vrrp_sync_group g{ group{ a\n b }\n smtp_alert #x}\n}",
	"$RS= \\\n real_server 192.0.2.$N 80 { \\\n weight 1 \\\n }\n$N=1\n$RS\n~SEQ(N,1,3) ~LST({A,B},{1,2}) x${A}$N\n",
	"@main priority 150\n@^main priority 100\ninclude conf.d/{a,b}*.conf\nincludea x\n", "a \"b\\\"c\" 'd e' \\#f \\", "{{ x }}", "${_ENV A} ${_PWD} ${_RANDOM 1 2}",
}

func FuzzParse(f *testing.F) {
	for _, s := range fragments {
		f.Add(s, "")
		f.Add(strings.ReplaceAll(s, "\n", "\r\n"), "main")
	}
	f.Fuzz(func(t *testing.T, in, host string) {
		tree := Parse("dir/a", []byte(in), Options{Host: host, Files: files{"dir/x": in, "dir/conf.d/a": "b {\n"}})
		checkTree(t, tree.Statements)
		for _, line := range tree.Lines {
			if line.At.Line < 1 || strings.Contains(line.Text, "\n") {
				t.Errorf("line %+v", line)
			}
		}
		if len(tree.Problems) > maxProblems {
			t.Errorf("%d problems", len(tree.Problems))
		}
		for _, p := range tree.Problems {
			if p.Message == "" || p.At.Line < 1 || p.At.Column < 1 {
				t.Errorf("problem %+v", p)
			}
		}
		again := Parse("dir/a", []byte(in), Options{Host: host, Files: files{"dir/x": in, "dir/conf.d/a": "b {\n"}})
		if dump(tree) != dump(again) {
			t.Error("the same file gives another tree")
		}
	})
}

func checkTree(t *testing.T, all []*conftree.Statement) {
	for _, s := range all {
		if len(s.Words) == 0 || s.At().Line < 1 || s.At().Column < 1 || !s.IsBlock && s.Block != nil {
			t.Fatalf("statement %+v", s)
		}
		if len(s.Args()) != len(s.Words)-1 || s.Arg(len(s.Words)) != "" {
			t.Errorf("arguments of %+v", s)
		}
		Script(s.Raw, 1)
		checkTree(t, s.Block)
	}
}

// Each line of these files is read.
func TestFragmentsHaveTheirLines(t *testing.T) {
	for _, in := range fragments {
		tree := Parse("a", []byte(in), Options{Host: "main"})
		checkLines(t, tree, in)
		if slices.ContainsFunc(tree.Lines, func(l conftree.Line) bool { return l.Kind == conftree.Unreachable }) && !strings.Contains(in, "{{") {
			t.Errorf("a line of this was not read:\n%s", in)
		}
	}
}
