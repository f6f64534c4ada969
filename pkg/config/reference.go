package config

import (
	"slices"
	"strings"
)

// Reference returns the sections of docs/cluster-file.md that describe the keys, as Markdown.
func Reference() string { return newClusterFile().reference() }

// ReservedKeys returns the table of docs/limits.md with the keys reserved for later versions.
func ReservedKeys() string { return newClusterFile().reservedKeys() }

func (f *clusterFile) reference() string {
	var chapters []string
	for _, s := range f.sections {
		if s.part {
			continue // printed after the section that it is part of
		}
		chapters = append(chapters, s.chapter())
		for _, d := range s.keys {
			if inside := d.form.inside; inside != nil && inside.part {
				chapters = append(chapters, inside.chapter())
			}
		}
	}
	return strings.Join(append(chapters, f.keepalivedWords()), "\n")
}

// title is the section's heading in the reference.
func (s *section) title() string {
	if s.name == "" {
		return "top level"
	}
	return "`" + s.name + "`"
}

func (s *section) heading() string { return strings.Replace(s.title(), "top", "Top", 1) }

func (s *section) chapter() string {
	var b strings.Builder
	paragraph := func(text string) {
		if text != "" {
			b.WriteString("\n" + text + "\n")
		}
	}
	level := "## "
	if s.part {
		level = "### "
	}
	b.WriteString(level + s.heading() + "\n")
	paragraph(s.intro)
	b.WriteString("\n| key | type | default | reload | meaning |\n|---|---|---|---|---|\n")
	for _, d := range s.keys {
		if !d.borrowed {
			b.WriteString(d.row())
		}
	}
	paragraph(s.reservedLine("Reserved: "))
	paragraph(s.notes)
	for _, d := range s.keys {
		if d.form.many == byNode {
			paragraph(s.byNode(d))
		}
	}
	return b.String()
}

func (d *declaration) row() string {
	def, doc := d.unset, d.told(d.kinds)
	if d.required != "" {
		def = enumerate(append([]string{"required"}, quoted(d.others)...), "or")
	}
	if d.since != "" {
		doc += "; since version " + d.since
	}
	cells := []string{"`" + d.name + "`", d.form.text, def, d.reload.String(), doc}
	return strings.TrimSuffix("| "+strings.Join(cells, " | "), " ") + " |\n"
}

// told is the meaning of a key in these kinds of check or track, nil for all of them.
func (d *declaration) told(kinds []CheckType) string {
	if kinds == nil || d.each {
		return d.doc
	}
	return "with type " + enumerate(quoted(words(kinds)), "or") + ": " + d.doc
}

func (s *section) reservedLine(begin string) string {
	var names []string
	for _, r := range s.reserved {
		names = append(names, r.name)
	}
	if names == nil {
		return ""
	}
	return wrap(begin + strings.Join(quoted(names), ", ") + ".")
}

// byNode describes a key with a section for single nodes.
func (s *section) byNode(d *declaration) string {
	names := map[scope][]string{}
	for _, k := range s.keys {
		if k != d {
			names[k.perNode] = append(names[k.perNode], k.name)
		}
	}
	return wrap("`" + d.name + "` may set " + enumerate(quoted(names[perNode]), "and") + " (`tracks: []` removes the instance's " +
		"tracks). It cannot set keys that must be the same on all directors: " + strings.Join(quoted(names[mustAgree]), ", ") +
		"; nor " + enumerate(quoted(names[oneForAll]), "and") + ". " + d.form.inside.reservedLine("Reserved in it: "))
}

// keepalivedWords is the table of keepalived's keywords and their equivalents.
func (f *clusterFile) keepalivedWords() string {
	rows := grouped{}
	for _, s := range f.sections {
		for _, d := range s.keys {
			for _, w := range d.words {
				rows.add(w.keepalived, s, strings.Join(quoted(w.names), ", "), w.here(d.name))
			}
		}
		for _, w := range s.words {
			rows.add(w.keepalived, s, strings.Join(quoted(w.names), ", "), w.here(""))
		}
	}
	return "## Words of keepalived\n\n| keepalived | in | here |\n|---|---|---|\n" + rows.text()
}

func (f *clusterFile) reservedKeys() string {
	rows := grouped{}
	for _, s := range f.sections {
		for _, r := range s.reserved {
			rows.add(true, s, "`"+r.name+"`", r.doc)
		}
	}
	return "| key | in | what it is for |\n|---|---|---|\n" + rows.text()
}

// grouped are the rows of a table whose middle column lists all sections with the same row.
type grouped []row

type row struct {
	first, last string
	sections    []string
}

func (g *grouped) add(wanted bool, s *section, first, last string) {
	if !wanted {
		return
	}
	i := slices.IndexFunc(*g, func(r row) bool { return r.first == first && r.last == last })
	if i < 0 {
		i = len(*g)
		*g = append(*g, row{first: first, last: last})
	}
	(*g)[i].sections = append((*g)[i].sections, s.title())
}

func (g grouped) text() string {
	var b strings.Builder
	for _, r := range g {
		b.WriteString("| " + r.first + " | " + strings.Join(r.sections, ", ") + " | " + r.last + " |\n")
	}
	return b.String()
}

// here is the equivalent of a word declared by key, or by the section if key is "".
func (w word) here(key string) string {
	switch {
	case w.example != "":
		return w.example
	case key != "":
		return "`" + key + "`"
	}
	reason := w.message
	for _, begin := range []string{"is keepalived's word: ", "is keepalived's word, and "} {
		reason = strings.TrimPrefix(reason, begin)
	}
	return "none: " + reason
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "`" + w + "`"
	}
	return out
}

// wrap breaks text into lines of at most 120 characters.
func wrap(text string) string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(w)) > 120 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	return strings.Join(append(lines, line), "\n")
}

// KeepalivedWord is a row of the table of keepalived's keywords in the reference.
type KeepalivedWord struct {
	Names   []string
	Section string // the title of the section of the cluster file; "top level"
	// Here is what to write instead, in Markdown, or "none: " and the reason why there is no key.
	Here string
}

// KeepalivedWords returns keepalived's keywords that are not keys, in the order of the sections.
func KeepalivedWords() []KeepalivedWord {
	var all []KeepalivedWord
	for _, s := range newClusterFile().sections {
		for _, d := range s.keys {
			for _, w := range d.words {
				if w.keepalived {
					all = append(all, KeepalivedWord{w.names, s.plainTitle(), w.here(d.name)})
				}
			}
		}
		for _, w := range s.words {
			if w.keepalived {
				all = append(all, KeepalivedWord{w.names, s.plainTitle(), w.here("")})
			}
		}
	}
	return all
}

func (s *section) plainTitle() string { return strings.Trim(s.title(), "`") }
