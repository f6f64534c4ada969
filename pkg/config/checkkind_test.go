package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ldapCheck is a kind of check that does not exist in this version.
type ldapCheck struct {
	noSecret
	Base, User string
}

func (ldapCheck) Type() CheckType  { return "ldap" }
func (ldapCheck) Network() Network { return OverTCP }

func (ldapCheck) Probe(Prober) {}
func (ldapCheck) sealed()      {}

func ldapKind() checkKind {
	return kindOf[ldapCheck]{
		name: "ldap", doc: "a search finds an entry",
		fields: []key[ldapCheck]{
			&field[ldapCheck, string]{
				name: "base_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
				in: func(c *ldapCheck) *string { return &c.Base }, required: "the file with the base of the search", doc: "the file", reload: Restart,
			},
			&field[ldapCheck, string]{
				name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *ldapCheck) *string { return &c.User },
				unset: "none", doc: "the account to log in with", reload: Restart,
			},
		},
	}.declare()
}

// A declared kind appears in the reader, the hints, the reference and the schema. A key of the same name is shared
// between kinds.
func TestAddACheckKind(t *testing.T) {
	f := declareFile([]checkKind{tcpKind(), mysqlKind(), ldapKind()}, instanceFields())
	const file = "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers:\n" +
		"- {name: s, address: 10.0.0.9, port: 80, scheduler: rr, forward: dr, real_servers: [{name: r, address: 10.0.0.11}], checks: [\n{CHECK}]}\ntimeouts: {tcp: 8h}\n"
	for text, want := range map[string]string{
		"type: ldap, base_file: /base":            "",
		"type: ldap, base_file: /base, user: u":   "",
		"type: ldap":                              "5:1 base_file: is required: the file with the base of the search",
		"type: ldap, base_file: base":             `5:25 base_file: "base" is not an absolute path`,
		"type: tcp, base_file: /, user: u":        "5:24 base_file: a tcp check has no base_file (use type: ldap, or remove it), 5:33 user: a tcp check does not log in (use type: mysql or ldap, or remove it)",
		"type: ldp, base_file: x":                 `5:8 type: "ldp" is not a type of check: want tcp, mysql or ldap (did you mean ldap?), 5:24 base_file: "x" is not an absolute path`,
		"base_file: /":                            "5:1 type: is required: tcp, mysql or ldap",
		"type: mysql, user: u, password_file: /p": "",
	} {
		c, problems := parse(f, "f", []byte(strings.ReplaceAll(file, "CHECK", text)))
		got := strings.NewReplacer("f:", "", ": virtual_servers[0].checks[0].", " ", "\n", ", ").Replace(strings.TrimSpace(problems.String()))
		if got != want {
			t.Errorf("%s:\n%q, want\n%q", text, got, want)
		}
		if text == "type: ldap, base_file: /base" && c.VirtualServers[0].RealServers[0].Checks[0].Kind != CheckKind(ldapCheck{Base: "/base"}) {
			t.Errorf("%+v", c.VirtualServers[0].RealServers[0].Checks)
		}
	}
	for _, want := range []string{
		"| `type` | `tcp`, `mysql` or `ldap` | required | restart | `tcp`: a connection opens",
		". `mysql`: login, `SELECT 1`, clean disconnect. `ldap`: a search finds an entry |\n",
		"| `base_file` | absolute path | required | restart | with type `ldap`: the file |\n",
		"| `user` | text | see the meaning | restart | with type `mysql` or `ldap`: the account to log in with |\n",
	} {
		if !strings.Contains(f.reference(), want) {
			t.Errorf("the reference does not have %q", want)
		}
	}
	for _, want := range []string{"mysql", "ldap"} {
		if !strings.Contains(string(f.jsonSchema()), `"`+want+`"`) {
			t.Errorf("the schema does not have %q", want)
		}
	}
}

// A kind of check is mentioned only in its own file here, the list of kinds and its probe, so adding one touches
// nothing else.
func TestKindsAreKnownToFewFiles(t *testing.T) {
	names := regexp.MustCompile(`\b(\w+)Check\b`)
	known, files := map[string]bool{}, map[string][]string{}
	for _, k := range checkKinds() {
		known[string(k.name)] = true
	}
	for _, dir := range []string{"../../pkg", "../../realserver", "../../cmd"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			for _, m := range names.FindAllStringSubmatch(string(data), -1) {
				at := strings.TrimPrefix(filepath.ToSlash(path), "../../")
				if kind := strings.ToLower(m[1]); known[kind] && !slices.Contains(files[kind], at) {
					files[kind] = append(files[kind], at)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range checkKinds() {
		kind := string(k.name)
		switch k.name {
		case HTTPS: // in the files of http
			continue
		case Command: // started by other packages
			continue
		}
		want := []string{"pkg/config/checkkind.go", "pkg/config/" + kind + "check.go", "pkg/probe/" + kind + ".go"}
		if got := slices.Sorted(slices.Values(files[kind])); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}
