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

// httpCheck is a kind of check that does not exist in this version.
type httpCheck struct {
	noSecret
	Path, User string
}

func (httpCheck) Type() CheckType { return "http" }
func (httpCheck) Probe(Prober)    {}
func (httpCheck) sealed()         {}

func httpKind() checkKind {
	return kindOf[httpCheck]{
		name: "http", doc: "an answer of 200",
		fields: []key[httpCheck]{
			field[httpCheck, string]{
				name: "path", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
				in: func(c *httpCheck) *string { return &c.Path }, required: "the page to ask for", doc: "the page", reload: Restart,
			},
			field[httpCheck, string]{
				name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *httpCheck) *string { return &c.User },
				unset: "none", doc: "the account to log in with", reload: Restart,
			},
		},
	}.declare()
}

// A declared kind appears in the reader, the hints, the reference and the schema. A key of the same name is shared
// between kinds.
func TestAddACheckKind(t *testing.T) {
	f := declareFile(append(checkKinds(), httpKind()), instanceFields())
	const file = "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers:\n" +
		"- {name: s, address: 10.0.0.9, port: 80, scheduler: rr, forward: dr, real_servers: [{name: r, address: 10.0.0.11}], checks: [\n{CHECK}]}\ntimeouts: {tcp: 8h}\n"
	for text, want := range map[string]string{
		"type: http, path: /health":               "",
		"type: http, path: /health, user: u":      "",
		"type: http":                              "5:1 path: is required: the page to ask for",
		"type: http, path: health":                `5:20 path: "health" is not an absolute path`,
		"type: tcp, path: /, user: u":             "5:19 path: a tcp check has no path (use type: http, or remove it), 5:28 user: a tcp check does not log in (use type: mysql or http, or remove it)",
		"type: htp, path: x":                      `5:8 type: "htp" is not a type of check: want tcp, mysql or http (did you mean http?), 5:19 path: "x" is not an absolute path`,
		"path: /":                                 "5:1 type: is required: tcp, mysql or http",
		"type: mysql, user: u, password_file: /p": "",
	} {
		c, problems := parse(f, "f", []byte(strings.ReplaceAll(file, "CHECK", text)))
		got := strings.NewReplacer("f:", "", ": virtual_servers[0].checks[0].", " ", "\n", ", ").Replace(strings.TrimSpace(problems.String()))
		if got != want {
			t.Errorf("%s:\n%q, want\n%q", text, got, want)
		}
		if text == "type: http, path: /health" && c.VirtualServers[0].RealServers[0].Checks[0].Kind != CheckKind(httpCheck{Path: "/health"}) {
			t.Errorf("%+v", c.VirtualServers[0].RealServers[0].Checks)
		}
	}
	for _, want := range []string{
		"| `type` | `tcp`, `mysql` or `http` | required | restart | `tcp`: a connection opens. `mysql`: login, `SELECT 1`, clean disconnect. `http`: an answer of 200 |\n",
		"| `path` | absolute path | required | restart | with type `http`: the page |\n",
		"| `user` | text | required | restart | with type `mysql` or `http`: the account to log in with |\n",
	} {
		if !strings.Contains(f.reference(), want) {
			t.Errorf("the reference does not have %q", want)
		}
	}
	for _, want := range []string{"mysql", "http"} {
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
		want := []string{"pkg/config/checkkind.go", "pkg/config/" + kind + "check.go", "pkg/probe/" + kind + ".go"}
		if got := slices.Sorted(slices.Values(files[kind])); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}
