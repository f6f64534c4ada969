package migration

import (
	"bytes"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// Source is the configuration of one director.
type Source struct {
	Node  string // the name of the director
	Files []File // at least one
}

// File is a file of one kind.
type File struct {
	Kind Kind
	Tree *conftree.Tree
}

// Options are what the sources do not say.
type Options struct {
	// Addresses are the directors' own addresses, by name.
	Addresses map[string]string
	// SecretsDir is the directory of the files with secrets in the cluster file, an absolute path.
	SecretsDir string
}

// Secret is a file that the cluster file names.
type Secret struct {
	Name  string // without the directory
	Value string
}

// Result is a translation.
type Result struct {
	YAML    []byte
	Secrets []Secret
	// Lines has a verdict for each line of each source, in their order.
	Lines []Line
	// Unknown lists what the sources do not say.
	Unknown []string
}

// Refused counts the lines that were refused.
func (r Result) Refused() int {
	n := 0
	for _, l := range r.Lines {
		if l.Verdict == Refused {
			n++
		}
	}
	return n
}

// Import translates the configurations of the directors of one cluster, at least one.
func Import(sources []Source, o Options) Result {
	var readers []*reader
	for _, s := range sources {
		r := newReader(s, o)
		r.read()
		readers = append(readers, r)
	}
	m := merger{readers: readers, options: o}
	file := m.file()
	result := Result{Secrets: m.secrets(file)}
	for _, r := range readers {
		result.Lines = append(result.Lines, r.lines()...)
		for _, u := range r.unknown {
			if !slices.Contains(result.Unknown, u) {
				result.Unknown = append(result.Unknown, u)
			}
		}
	}
	result.Unknown = append(result.Unknown, m.unknown...)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		result.Unknown = append(result.Unknown, fmt.Sprintf("the cluster file cannot be written: %s", err))
	}
	_ = encoder.Close() // writes into memory
	result.YAML = b.Bytes()
	return result
}
