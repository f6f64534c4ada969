package keepalived

import (
	"path"
	"strings"
)

// includeIn splits a line that includes files. The names may have blanks, and are used as they are: without quotes and
// replacements.
func includeIn(t text) (keyword string, names text, is bool) {
	keyword, _, more := strings.Cut(strings.ReplaceAll(t.bytes, "\t", " "), " ")
	switch keyword {
	case "include", "includer", "includem", "includew", "includeb", "includea":
		if more {
			return keyword, t.slice(len(keyword), len(t.bytes)).trim(), true
		}
	}
	return "", text{}, false
}

func (r *reader) include(keyword string, names text) {
	at := names.position(0)
	switch {
	case r.options.Files == nil:
		r.problem(at, "", "%s cannot be read here", keyword)
		return
	case len(r.dirs) > maxInclude:
		r.problem(at, "", "more than %d files include each other", maxInclude)
		return
	}
	found := false
	for _, pattern := range braces(names.bytes) {
		if !strings.HasPrefix(pattern, "/") {
			pattern = path.Join(r.dirs[len(r.dirs)-1], pattern)
		}
		for _, name := range r.options.Files.Match(pattern) {
			if r.files++; r.files > maxFiles {
				r.problem(at, "", "more than %d files are included", maxFiles)
				return
			}
			found = true
			data, err := r.options.Files.Read(name)
			if err != nil {
				r.problem(at, "import it on a machine that has it", "%s cannot be read: %s", quote(name), err)
				continue
			}
			r.file(name, data, true)
		}
	}
	if !found {
		hint := "import it on a machine that has it, or remove the line: keepalived ignores it"
		if strings.ContainsAny(names.bytes, `$"`) {
			hint = "write the name itself: keepalived replaces no $NAME and removes no quotes here"
		}
		r.problem(at, hint, "no file matches %s", quote(names.bytes))
	}
}

// braces returns the alternatives of {a,b} in a pattern, at most maxFiles; an unbalanced brace stands for itself.
func braces(pattern string) []string {
	open := strings.IndexByte(pattern, '{')
	if open < 0 || len(pattern) > 4096 {
		return []string{pattern}
	}
	depth, from, parts := 0, open+1, []string{}
	for i := open; i < len(pattern); i++ {
		switch pattern[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				parts, from = append(parts, pattern[from:i]), i+1
			}
		case '}':
			if depth--; depth > 0 {
				continue
			}
			var all []string
			for _, part := range append(parts, pattern[from:i]) {
				all = append(all, braces(pattern[:open]+part+pattern[i+1:])...)
				if len(all) >= maxFiles {
					return all[:maxFiles]
				}
			}
			return all
		}
	}
	return []string{pattern}
}
