// Package docs_test checks the pages against the tree: examples validate, links resolve, and the commands, flags,
// tests, files and log messages that they mention exist.
package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/programtest"
	"github.com/lvs-director/lvs-director/pkg/config"
)

// A page is a parsed Markdown file.
type page struct {
	path   string   // relative to this directory
	prose  string   // without fenced blocks
	blocks []block  // fenced blocks
	spans  []string // inline code in the prose
}

type block struct{ language, text string }

var (
	fence = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")
	span  = regexp.MustCompile("`([^`\n]+)`")
)

func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	for _, pattern := range []string{"*.md", "../*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parse(path, string(data)))
		}
	}
	if len(all) < 9 {
		t.Fatalf("only %d pages", len(all))
	}
	return all
}

func parse(path, text string) page {
	p := page{path: path, prose: fence.ReplaceAllString(text, "")}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		p.blocks = append(p.blocks, block{m[1], m[2]})
	}
	for _, m := range span.FindAllStringSubmatch(p.prose, -1) {
		p.spans = append(p.spans, m[1])
	}
	return p
}

var wholeFile = regexp.MustCompile(`(?m)^version:`)

func TestWholeClusterFilesValidate(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			text, modeline := strings.CutPrefix(b.text, "# yaml-language-server: $schema=cluster.schema.json\n")
			if b.language != "yaml" || !wholeFile.MatchString(text) {
				continue
			}
			checked++
			if !modeline {
				t.Errorf("%s: no modeline for editors before\n%s", p.path, b.text)
			}
			if _, problems := config.Parse(p.path, []byte(b.text)); len(problems) > 0 {
				t.Errorf("%s: %v\n%s", p.path, problems, b.text)
			}
		}
	}
	if checked < 4 {
		t.Errorf("only %d cluster files found", checked)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	known := map[string][]string{} // anchors by path
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(m[1], "#")
			path := p.path
			if target != "" {
				path = filepath.Join(filepath.Dir(p.path), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: link to %s: %v", p.path, m[1], err)
			}
			if anchor == "" {
				continue
			}
			if known[path] == nil {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Errorf("%s: link to %s: %v", p.path, m[1], err)
				}
				known[path] = append(anchors(string(data)), "")
			}
			if !slices.Contains(known[path], anchor) {
				t.Errorf("%s: link to %s: no such heading", p.path, m[1])
			}
		}
	}
}

// A reader finds every page from the index and from either README.
func TestEveryPageIsLinked(t *testing.T) {
	all := pages(t)
	for _, list := range all {
		if list.path != "index.md" && !strings.HasPrefix(list.path, "../README") {
			continue
		}
		for _, p := range all {
			if p.path != "index.md" && filepath.Dir(p.path) == "." && !strings.Contains(list.prose, "]("+p.path+")") && !strings.Contains(list.prose, "](docs/"+p.path+")") {
				t.Errorf("%s has no link to %s", list.path, p.path)
			}
		}
	}
}

// Who follows the quick start in Chinese enters the same commands.
func TestQuickStartsAreAlike(t *testing.T) {
	var blocks [2][]block
	for _, p := range pages(t) {
		switch p.path {
		case "quickstart.md":
			blocks[0] = p.blocks
		case "quickstart.zh-CN.md":
			blocks[1] = p.blocks
		}
	}
	if n := len(blocks[0]); len(blocks[1]) < n || n == 0 || !slices.Equal(blocks[0], blocks[1][:n]) {
		t.Error("the code blocks of quickstart.md are not the first ones of quickstart.zh-CN.md")
	}
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{N}_-]`)
)

// anchors are the anchor names that Markdown hosts generate for the headings.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		all = append(all, unlinked.ReplaceAllString(name, ""))
	}
	return all
}

var ours = []string{"lvs-director", "lvs-realserver", "lvsctl"}

// Every command line of our programs is run with --help, which parses the verb and the flags and does nothing else. Flags
// mentioned alone must belong to one of the programs, and the table of commands has all of their verbs.
func TestCommandsAndFlagsExist(t *testing.T) {
	dir := programtest.Build(t)
	checkListed(t, dir)
	help := ""
	var commands [][]string
	for _, program := range ours {
		for _, verb := range verbs(t, filepath.Join(dir, program)) {
			commands = append(commands, []string{program, verb})
		}
	}
	for _, command := range commands {
		out, err := exec.Command(filepath.Join(dir, command[0]), command[1], "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
		help += string(out)
	}
	tried := 0
	for _, p := range pages(t) {
		for _, line := range commandLines(p) {
			words := strings.Fields(line)
			tried++
			if out, err := exec.Command(filepath.Join(dir, words[0]), append(words[1:], "--help")...).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v: %s", p.path, line, err, out)
			}
		}
		for _, s := range p.spans {
			if flag, _, _ := strings.Cut(s, " "); strings.HasPrefix(flag, "--") && !regexp.MustCompile(regexp.QuoteMeta(flag)+`\b`).MatchString(help) {
				t.Errorf("%s: no program has %s", p.path, flag)
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d command lines found", tried)
	}
}

// commandLines finds the command lines in a page that begin with one of our programs and have arguments.
func commandLines(p page) []string {
	var lines []string
	candidates := slices.Clone(p.spans)
	for _, b := range p.blocks {
		if b.language == "sh" || b.language == "ini" {
			candidates = append(candidates, strings.Split(b.text, "\n")...)
		}
	}
	for _, c := range candidates {
		c, _, _ = strings.Cut(c, " #")
		c, _, _ = strings.Cut(c, "     ")
		for _, part := range regexp.MustCompile(`&&|\|\||[;|]`).Split(c, -1) {
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "ExecStart="))
			if len(words) > 1 && slices.Contains(ours, filepath.Base(words[0])) {
				words[0] = filepath.Base(words[0])
				lines = append(lines, strings.Join(words, " "))
			}
		}
	}
	return lines
}

var (
	testName   = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*(…?)$`)
	function   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)
	makeTarget = regexp.MustCompile(`^make ([a-z0-9-]+)`)
	treePath   = regexp.MustCompile(`^(pkg|cmd|e2e|deploy|docs|realserver)(/[\w.-]+)*$`)
)

func TestNamedTestsTargetsAndFilesExist(t *testing.T) {
	functions, packages := tree(t)
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		named := slices.Clone(p.spans)
		for _, b := range p.blocks {
			if b.language == "sh" {
				named = append(named, strings.Split(b.text, "\n")...)
			}
		}
		for _, s := range named {
			if m := testName.FindStringSubmatch(s); m != nil {
				prefix := strings.TrimSuffix(s, "…")
				if !slices.ContainsFunc(functions, func(f string) bool { return f == s || m[2] != "" && strings.HasPrefix(f, prefix) }) {
					t.Errorf("%s: there is no %s", p.path, s)
				}
			}
			if m := makeTarget.FindStringSubmatch(s); m != nil && !regexp.MustCompile(`(?m)^`+m[1]+`:`).Match(makefile) {
				t.Errorf("%s: the Makefile has no target %s", p.path, m[1])
			}
			if treePath.MatchString(s) {
				if _, err := os.Stat(filepath.Join("..", s)); err != nil {
					t.Errorf("%s: %v", p.path, err)
				}
			}
		}
	}
	architecture, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range packages {
		if !strings.Contains(string(architecture), "`"+name+"`") {
			t.Errorf("architecture.md does not have %s", name)
		}
	}
}

var message = regexp.MustCompile(`\bmsg=("[^"]*"|\w+)`)

// Log messages quoted in a page must exist in the programs.
func TestQuotedLogMessagesExist(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"../pkg", "../realserver"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			sources.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	quoted := 0
	for _, p := range pages(t) {
		texts := slices.Clone(p.spans)
		for _, b := range p.blocks {
			texts = append(texts, b.text)
		}
		for _, m := range message.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
			quoted++
			if text := `"` + strings.Trim(m[1], `"`) + `"`; !strings.Contains(sources.String(), text) {
				t.Errorf("%s: no program logs msg=%s", p.path, text)
			}
		}
	}
	if quoted < 15 {
		t.Errorf("only %d log lines found", quoted)
	}
}

// tree lists the tests of the tree and its packages under pkg and cmd, except those that are used only by tests.
func tree(t *testing.T) (functions, packages []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "out"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		case strings.HasSuffix(path, "_test.go"):
			data, err := os.ReadFile(path)
			for _, m := range function.FindAllStringSubmatch(string(data), -1) {
				functions = append(functions, m[1])
			}
			return err
		}
		name := filepath.ToSlash(filepath.Dir(path))[len("../"):]
		if (strings.HasPrefix(name, "pkg/") || strings.HasPrefix(name, "cmd/")) && !strings.HasSuffix(name, "test") {
			packages = append(packages, name)
		}
		return nil
	})
	if err != nil || len(functions) < 100 {
		t.Fatalf("%d tests found: %v", len(functions), err)
	}
	slices.Sort(packages)
	return functions, slices.Compact(packages)
}
