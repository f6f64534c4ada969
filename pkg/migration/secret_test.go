package migration_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/migration"
)

// Passwords are in no report.
func TestPasswordsAreLeftOut(t *testing.T) {
	for text, want := range map[string]string{
		"    auth_pass geheim123":                                 "a.conf:1:1: changed: auth_pass …",
		"\tpasswd = \"geheim123\"":                                "a.conf:1:1: changed: passwd = …",
		"secret=geheim123":                                        "a.conf:1:1: changed: secret=…",
		"virtual = 10.77.0.1:80":                                  "a.conf:1:1: changed: virtual = 10.77.0.1:80",
		"passwords are no such keyword":                           "a.conf:1:1: changed: passwords …",
		"paswd=\"geheim123\"":                                     "a.conf:1:1: changed: paswd=…",
		"Passwd = geheim123":                                      "a.conf:1:1: changed: Passwd = …",
		"auth_pas geheim123":                                      "a.conf:1:1: changed: auth_pas …",
		"auth_pass\"geheim123\"":                                  "a.conf:1:1: changed: auth_pass\"…",
		"$AUTH_PASS=geheim123":                                    "a.conf:1:1: changed: $AUTH_PASS=…",
		"pass=geheim123":                                          "a.conf:1:1: changed: pass=…",
		"@lvs1 auth_pass geheim123":                               "a.conf:1:1: changed: @lvs1 auth_pass …",
		"checkcommand=\"/x --password=geheim123\"":                "a.conf:1:1: changed: checkcommand=\"/x --password=…",
		"authentication { auth_type PASS auth_pass geheim123 x }": "a.conf:1:1: changed: authentication { auth_type PASS auth_pass …",
		"auth_type PASS":                                          "a.conf:1:1: changed: auth_type PASS",
		"auth_type PASS # short":                                  "a.conf:1:1: changed: auth_type PASS # short",
		"passwd =":                                                "a.conf:1:1: changed: passwd =",
	} {
		l := migration.Line{Verdict: migration.Changed, Text: text}
		l.At.File, l.At.Line, l.At.Column = "a.conf", 1, 1
		if l.String() != want {
			t.Errorf("%q: %q, want %q", text, l, want)
		}
	}
}

// A password is in no reason either.
func TestReasonsWithoutPasswords(t *testing.T) {
	l := migration.Line{Verdict: migration.Changed, Text: `passwd = "x" geheim123`, Reason: "ldirectord ignores 'geheim123' (of the line's end)"}
	if want := "ldirectord ignores '…' (of the line's end)"; !strings.HasSuffix(l.String(), want) {
		t.Errorf("%q, want the reason %q", l, want)
	}
}

// Passwords in comments, in misspelt lines and in definitions are neither in the cluster file nor in the report, which says which
// comments are left out.
func TestNoPasswordInAnyForm(t *testing.T) {
	for name, in := range map[string]string{
		"a.cf": "# passwd = \"geheim\"\nvirtual=10.77.0.100:3306 # Password: geheim\n# real=10.77.0.12:3306 gate (secret geheim)\n\treal=10.77.0.11:3306 gate # old paswrd=geheim\n" +
			"\tlogin=\"x\" geheim\n#\tpasswd = geheim\n\tpaswd = \"geheim\"\n\tPasswd=geheim\n\tpasswd = \"y\" geheim\n",
		"a.conf": "$PW=geheim\n# auth_pass geheim\nvrrp_instance V { # auth_pass geheim\n  interface eth0\n  virtual_router_id 51 ! auth_pass geheim\n" +
			"  authentication {\n    auth_type PASS # secret: geheim\n    auth_pass $PW\n    #auth_pass geheim\n  }\n  virtual_ipaddress {\n    # passwd geheim\n    10.77.0.100\n  }\n}\n" +
			"vrrp_instance W {\n  authentication { auth_type PASS auth_pass geheim bogus }\n  auth_pas geheim\n  authentication {\n    auth_type PASS auth_pass geheim\n    auth_pass geheim 1\n  }\n}\n",
		"a.rules": "# the password geheim\n-A -t 10.77.0.100:80 # secret=geheim\n-a -t 10.77.0.100:80 -r 10.77.0.11\n",
	} {
		sources := []migration.Source{{Node: "lvs1", Files: []migration.File{parsed("lvs1", name, []byte(in))}}}
		r := migration.Import(sources, migration.Options{SecretsDir: "/etc/lvs-director"})
		accounted(t, sources, r)
		text := string(r.YAML) + strings.Join(r.Unknown, "\n")
		left := 0
		for _, l := range r.Lines {
			text += l.String() + "\n"
			if strings.Contains(l.Reason, "a comment that may have a password is left out") {
				left++
			}
		}
		if want := map[string]int{"a.cf": 5, "a.conf": 6, "a.rules": 2}[name]; left != want || name != "a.cf" && strings.Contains(text, "geheim") || strings.Count(text, "geheim") > 2 {
			t.Errorf("%d comments are left out, want %d:\n%s", left, want, text)
		}
	}
}

// Of passwords that differ where there can be one, the first is kept, and the others are refused at their lines.
func TestPasswordsThatDiffer(t *testing.T) {
	const in = "virtual=10.77.0.100:3306\n\treal=10.77.0.11:3306 gate\n\tlogin=\"x\"\n\tpasswd=\"one\"\n\trequest=\"SELECT 1\"\n"
	other := strings.Replace(in, "one", "two", 1)
	for want, sources := range map[string][]migration.Source{
		"b.cf:4:2: refused: passwd=…: line 4 of a.cf has another password for the same, which is written": {
			{Node: "lvs1", Files: []migration.File{parsed("lvs1", "a.cf", []byte(in))}}, {Node: "lvs2", Files: []migration.File{parsed("lvs2", "b.cf", []byte(other))}},
		},
		"a.cf:6:1: refused: virtual=10.77.0.100:3306: tcp-10.77.0.100-3306 is there already, in line 1 of a.cf\n" +
			"a.cf:9:2: refused: passwd=…: line 4 of a.cf has another password for the same, which is written": {
			{Node: "lvs1", Files: []migration.File{parsed("lvs1", "a.cf", []byte(in+other))}},
		},
	} {
		r := migration.Import(sources, migration.Options{SecretsDir: "/etc/lvs-director"})
		var refused []string
		for _, l := range r.Lines {
			if l.Verdict == migration.Refused {
				refused = append(refused, l.String())
			}
		}
		if diff := cmp.Diff(want, strings.Join(refused, "\n")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]migration.Secret{{Name: "check-tcp-10.77.0.100-3306.password", Value: "one"}}, r.Secrets); diff != "" {
			t.Error(diff)
		}
	}
}
