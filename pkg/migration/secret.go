package migration

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// password is a secret, and the statement that it comes from.
type password struct {
	Secret
	at *conftree.Statement
}

func (r *reader) addSecret(file, value string, at *conftree.Statement) {
	p := password{Secret{file, value}, at}
	if !slices.Contains(r.secrets, p) {
		r.secrets = append(r.secrets, p)
	}
}

// secretWords are the words before a password in the files.
var secretWords = []string{"auth_pass", "passwd", "password", "secret"}

var (
	// secretStem is in words that name a password, also in misspelt ones and in comments.
	secretStem = regexp.MustCompile(`(?i)auth_?pass|passw|paswd|pswd|pwd|passphrase|secret`)
	bareWord   = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_-]*`)
	quotation  = regexp.MustCompile(`(?:^|[\s(])'.*?'(?:[\s),;:.]|$)`) // in a reason
	separator  = regexp.MustCompile(`^(?:["']?[\s=:]+|["'])`)
)

// secretAt returns where a password begins in a line; -1 if the line has none. A line in which it cannot be told has one: words
// that only look like a misspelt one count as well, in a comment only before = or :.
func secretAt(text string, comment bool) int {
	for _, place := range bareWord.FindAllStringIndex(text, -1) {
		word, rest := text[place[0]:place[1]], text[place[1]:]
		between := separator.FindString(rest)
		if between == "" || strings.Trim(rest, " \t\"';=:") == "" {
			continue
		}
		likely := strings.ContainsAny(between, "=:") || !comment && (place[0] == 0 || !strings.EqualFold(word, "pass")) // auth_type PASS
		if secretStem.MatchString(word) || likely && config.Nearest(word, secretWords) != "" {
			return place[1] + len(between)
		}
	}
	return -1
}

// secretComment reports whether a line of a file has a comment with a password.
func secretComment(kind Kind, line string) bool {
	begin := "#"
	if kind == Keepalived {
		begin = "#!"
	}
	at := strings.IndexAny(line, begin)
	return at >= 0 && secretAt(strings.TrimLeft(line[at:], begin), true) >= 0
}

// leaveOut says of a line that its comment is not in the cluster file.
func (l *Line) leaveOut() {
	const reason = "a comment that may have a password is left out"
	switch {
	case l.Verdict < Changed:
		l.Verdict, l.Reason = Changed, reason
	case l.Verdict == Changed:
		l.Reason += "; " + reason
	}
}

// redact returns a line and the reason of its verdict without the password of the line.
func redact(text, reason string) (string, string) {
	at := secretAt(text, false)
	if at < 0 {
		return text, reason
	}
	hidden := strings.FieldsFunc(text[at:], func(c rune) bool { return strings.ContainsRune(" \t\"';,{}", c) })
	reason = quotation.ReplaceAllStringFunc(reason, func(quote string) string {
		if !slices.ContainsFunc(hidden, func(word string) bool { return strings.Contains(quote, word) }) {
			return quote
		}
		begin, end := strings.IndexByte(quote, '\''), strings.LastIndexByte(quote, '\'')
		return quote[:begin] + "'…'" + quote[end+1:]
	})
	return text[:at] + "…", reason
}

// passwords returns the values of all statements with a password, with which definitions that have one are found.
func passwords(all []*conftree.Statement) []string {
	var found []string
	for _, s := range all {
		if value := strings.Join(s.Args(), " "); value != "" && slices.Contains(secretWords, strings.ToLower(s.Keyword())) {
			found = append(found, value)
		}
		found = append(found, passwords(s.Block)...)
	}
	return found
}

// secrets returns the secrets that the cluster file names. Of those with the same name the first one is kept, and others with
// another value are refused.
func (m *merger) secrets(file *yaml.Node) (all []Secret) {
	named := map[string]bool{}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		named[n.Value] = true
		for _, inner := range n.Content {
			walk(inner)
		}
	}
	walk(file)
	kept := map[string]password{}
	for _, r := range m.readers {
		for _, p := range r.secrets {
			before, known := kept[p.Name]
			switch {
			case !named[m.options.SecretsDir+"/"+p.Name]:
			case !known:
				kept[p.Name] = p
				all = append(all, p.Secret)
			case before.Value != p.Value:
				at := before.at.At()
				r.judge(p.at, Refused, "line %d of %s has another password for the same, which is written", at.Line, at.File)
			}
		}
	}
	return all
}
