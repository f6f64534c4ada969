package config

import (
	"slices"
	"strings"
)

// Argv is the words of a command line, each followed by a NUL character, so that values are comparable.
type Argv string

// ArgvOf returns the command line with these words, none of which may contain NUL.
func ArgvOf(words ...string) Argv {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(w + "\x00")
	}
	return Argv(b.String())
}

// Words returns the program and its arguments.
func (a Argv) Words() []string {
	if a == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(a), "\x00"), "\x00")
}

func argv() kind[Argv] {
	one := 1
	k := scalar("list of texts", Schema{Type: "array", Items: &Schema{Type: "string"}, MinItems: &one}, value.argv)
	return k
}

func groups() kind[Argv] {
	one := 1
	return scalar("list of texts", Schema{Type: "array", Items: &Schema{Type: "string", MinLength: 1}, MinItems: &one}, func(v value) Argv {
		v.notEmpty("the names of groups")
		var names []string
		for _, item := range v.items("names of groups") {
			if name := item.text(); name != "" && !slices.Contains(names, name) && !strings.Contains(name, "\x00") {
				names = append(names, name)
			}
		}
		return ArgvOf(names...)
	})
}

// argv reads a program and its arguments.
func (v value) argv() Argv {
	v.notEmpty("the program and its arguments")
	var words []string
	for i, item := range v.items("texts: the program and its arguments") {
		switch {
		case i == 0:
			words = append(words, item.absolutePath())
			if strings.ContainsAny(words[0], " \t") {
				item.fail("write each argument as an item of its own", "%s has a space: no shell splits it", quote(words[0]))
			}
		case item.node.ShortTag() == "!!str" && strings.Contains(item.node.Value, "\x00"):
			item.fail("", "has a NUL character")
		case item.node.ShortTag() == "!!str": // an argument may be empty
			words = append(words, item.node.Value)
		default:
			words = append(words, item.text())
		}
	}
	return ArgvOf(words...)
}
