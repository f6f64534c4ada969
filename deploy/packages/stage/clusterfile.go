package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// clusterFilePage is cluster.yaml(5): every key of the schema with its type, range, default and meaning. A section is printed once,
// after the one that it is in.
func clusterFilePage(schema []byte, version string, at time.Time) ([]byte, error) {
	var root config.Schema
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH CLUSTER.YAML 5 %q %q lvs-director\n", at.Format("Jan 2006"), "lvs-director "+version)
	b.WriteString(`.SH NAME
cluster.yaml \- the cluster file of lvs\-director and lvs\-realserver
.SH DESCRIPTION
.I /etc/lvs\-director/cluster.yaml
describes a cluster. It is the same on all its machines: each daemon finds its own part by the name of the machine. It is YAML;
unknown keys and values without their unit are errors. Durations have a unit, such as
.BR 100ms ,
.BR 1s " or"
.BR 8h .
.B lvsctl check
says what is wrong with a file, and where.
.PP
Examples are in
.IR /usr/share/doc/lvs\-director/examples .
`)
	section{title: "TOP LEVEL", schema: &root}.print(&b)
	b.WriteString(`.SH FILES
.TP
.I /usr/share/lvs\-director/cluster.schema.json
the JSON Schema of the file, for editors
.SH SEE ALSO
.BR lvs\-director (8),
.BR lvs\-realserver (8),
.BR lvsctl (8)
`)
	return b.Bytes(), nil
}

// A section is the keys of one mapping.
type section struct {
	title  string
	schema *config.Schema
}

func (s section) print(b *bytes.Buffer) {
	fmt.Fprintf(b, ".SH %s\n", roff(s.title))
	if s.schema.Description != "" {
		b.WriteString(roff(s.schema.Description) + ".\n")
	}
	var inside []section
	for _, name := range slices.Sorted(maps.Keys(s.schema.Properties)) {
		key := s.schema.Properties[name]
		fmt.Fprintf(b, ".TP\n.B %s\n(%s) %s\n", roff(name), roff(terms(key, slices.Contains(s.schema.Required, name))), roff(key.Description))
		if of := mapping(key); of != nil {
			title := name
			if s.title != "TOP LEVEL" {
				title = s.title + "." + name
			}
			inside = append(inside, section{title: title, schema: of})
		}
	}
	for _, of := range inside {
		of.schema.Description = ""
		of.print(b)
	}
}

// mapping is the schema of the mappings in a key's value, nil if it has none with keys of their own.
func mapping(key *config.Schema) *config.Schema {
	if key.Items != nil {
		key = key.Items
	}
	if len(key.Properties) == 0 {
		return nil
	}
	return key
}

// terms are the type of a key, its values and default, and whether it is required.
func terms(key *config.Schema, required bool) string {
	words := []string{key.Type}
	switch {
	case key.Type == "":
		words[0] = "several types"
	case key.Items != nil && key.Items.Type != "":
		words[0] = "list of " + key.Items.Type + "s"
	}
	if key.Enum != nil {
		words[0] = "one of " + joined(key.Enum)
	}
	if key.Minimum != nil && key.Maximum != nil {
		words = append(words, fmt.Sprintf("%d to %d", *key.Minimum, *key.Maximum))
	}
	switch {
	case required:
		words = append(words, "required")
	case key.Default != nil:
		words = append(words, fmt.Sprintf("default %v", key.Default))
	}
	return strings.Join(words, ", ")
}

func joined(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, " | ")
}

var (
	link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	code = regexp.MustCompile("`([^`]*)`")
)

// roff is a text with Markdown's links and code as a line of a man page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(text)
	text = code.ReplaceAllString(link.ReplaceAllString(text, "$1"), `\fB$1\fR`)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return strings.ReplaceAll(text, "\n", " ")
}
