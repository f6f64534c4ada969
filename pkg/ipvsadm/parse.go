package ipvsadm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// maxCommands is how many commands of a file are read.
const maxCommands = 50_000

// parser reads one file.
type parser struct {
	tree    *conftree.Tree
	pending []string // comments before the next command
}

// Parse parses commands of ipvsadm, one in each line. name is used in positions.
func Parse(name string, data []byte) *conftree.Tree {
	p := &parser{tree: &conftree.Tree{}}
	listing := false
	p.tree.Split(name, data, func(index int, line string) {
		if !listing && isListing(line) {
			listing = true
			p.report(p.tree.Lines[index].At, "import the output of ipvsadm -Sn", "this is what ipvsadm -L prints, and has not everything of the table")
		}
		if !listing {
			p.line(index, line)
		}
	})
	return p.tree
}

// isListing reports whether a line is a heading of ipvsadm -L.
func isListing(line string) bool {
	return strings.HasPrefix(line, "IP Virtual Server version") || strings.HasPrefix(line, "Prot LocalAddress:Port") || strings.HasPrefix(line, "  -> ")
}

const blanks = " \t\f\v\r"

func (p *parser) line(index int, line string) {
	place := &p.tree.Lines[index]
	text := strings.Trim(line, blanks)
	if text == "" || text[0] == '#' {
		place.Kind = conftree.Blank
		if text = strings.Trim(text, blanks+"#"); text != "" && !strings.HasPrefix(text, "!") {
			p.pending = append(p.pending, text)
		}
		return
	}
	words, comment := split(line, place.At)
	place.Kind = conftree.Statements
	raw := words
	words = p.unshell(words)
	for len(words) > 0 && slices.Contains([]string{"sudo", "ipvsadm", "/sbin/ipvsadm", "/usr/sbin/ipvsadm"}, words[0].Text) {
		words = words[1:]
	}
	switch at := raw[0].At; {
	case len(words) == 0:
		p.report(at, "import the output of ipvsadm -Sn", "ipvsadm without a command prints the table")
	case strings.ContainsAny(text, "$`;&|<>") && slices.ContainsFunc(words, func(w conftree.Word) bool { return strings.ContainsAny(w.Text, "$`;&|<>") }) || words[0].Text[0] != '-':
		p.report(at, "run it, and import the output of ipvsadm -Sn", "this is a line of a shell script")
	case len(p.tree.Statements) >= maxCommands:
		place.Kind = conftree.Unreachable
		p.report(at, "", "the file has more than %d commands: the rest is not read", maxCommands)
	default:
		p.command(words, text, comment)
	}
}

func (p *parser) report(at conftree.Position, hint, format string, args ...any) {
	p.tree.Report(conftree.Problem{At: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// split splits a line at blanks, and leaves out the comment.
func split(line string, at conftree.Position) (all []conftree.Word, comment string) {
	for i := 0; i < len(line); {
		if strings.IndexByte(blanks, line[i]) >= 0 {
			i++
			continue
		}
		if line[i] == '#' {
			return all, strings.Trim(line[i:], blanks+"#")
		}
		length := strings.IndexAny(line[i:], blanks)
		if length < 0 {
			length = len(line) - i
		}
		here := at
		here.Column = i + 1
		all = append(all, conftree.Word{Text: line[i : i+length], At: here})
		i += length
	}
	return all, ""
}

// shellEnds are what a line of a script may have behind a command of ipvsadm without changing what it does.
var shellEnds = regexp.MustCompile(`(?:\s+(?:[12&]?>>?\s*(?:/dev/null|&[12])|\|\|\s*(?:true|:|exit(?:\s+\d+)?))|\s*;)+$`)

// unshell leaves such an end out.
func (p *parser) unshell(words []conftree.Word) []conftree.Word {
	var texts []string
	for _, w := range words {
		texts = append(texts, w.Text)
	}
	line := strings.Join(texts, " ")
	end := shellEnds.FindString(line)
	if end == "" {
		return words
	}
	kept := strings.Split(strings.TrimSuffix(line, end), " ") // no word has a blank
	if kept[0] == "" {
		return words
	}
	at := words[len(kept)-1].At
	if len(kept) < len(words) {
		at = words[len(kept)].At
	}
	p.tree.Report(conftree.Problem{At: at, Message: fmt.Sprintf("'%s' is for the shell, and left out", strings.TrimSpace(end)), AsMeant: true})
	words = slices.Clone(words[:len(kept)])
	words[len(kept)-1].Text = kept[len(kept)-1]
	return words
}

// command makes a statement of a command and its options. There is at least one word, which begins with -.
func (p *parser) command(words []conftree.Word, text, comment string) {
	first := words[0].At
	var block []*conftree.Statement
	var command *conftree.Statement
	var free []conftree.Word
	for len(words) > 0 {
		var given []*conftree.Statement
		if given, words = next(words); given == nil {
			free = append(free, words[0])
			words = words[1:]
			continue
		}
		for _, s := range given {
			switch known := longOption(s.Keyword()); {
			case known.command && command != nil:
				p.report(s.At(), "write one command in each line", "the line has two commands")
			case known.command:
				command = s
			default:
				block = append(block, s)
			}
		}
	}
	if command == nil {
		p.report(first, "a line begins with -A or -a", "the line has no command")
		return
	}
	if command.Keyword() == "set" {
		command.Words, free = append(command.Words, free...), nil
	}
	for _, w := range free {
		block = append(block, &conftree.Statement{Words: []conftree.Word{w}, Raw: w.Text})
	}
	command.Raw, command.IsBlock, command.Block, command.End = text, true, block, command.At()
	command.Comments, command.Trailing = p.pending, comment
	p.pending = nil
	p.tree.Statements = append(p.tree.Statements, command)
}

// next takes the option at the begin of words, or several of one letter each; nil: it is none.
func next(words []conftree.Word) (given []*conftree.Statement, rest []conftree.Word) {
	word := words[0]
	if word.Text == "pe" || word.Text == "ops" { // so ipvsadm -S prints them, although it does not read them
		word.Text = "--" + word.Text
	}
	if long, is := strings.CutPrefix(word.Text, "--"); is && long != "" {
		name, value, has := strings.Cut(long, "=")
		s, rest := take(longOption(name), word.At, value, has, words[1:])
		return []*conftree.Statement{s}, rest
	}
	if len(word.Text) < 2 || word.Text[0] != '-' || word.Text == "--" {
		return nil, words
	}
	rest = words[1:]
	for i := 1; i < len(word.Text); i++ {
		o := shortOption(word.Text[i])
		at := word.At
		at.Column += i
		var s *conftree.Statement
		value := strings.TrimPrefix(word.Text[i+1:], "=")
		if o.argument == none || value == "" {
			s, rest = take(o, at, "", false, rest)
		} else {
			s, rest = take(o, at, value, true, rest)
			i = len(word.Text)
		}
		given = append(given, s)
	}
	return given, rest
}

// take makes the statement of an option, with the value that is in its word, or else the next word if it needs one.
func take(o option, at conftree.Position, value string, has bool, rest []conftree.Word) (*conftree.Statement, []conftree.Word) {
	s := &conftree.Statement{Words: []conftree.Word{{Text: o.long, At: at}}}
	switch {
	case has:
		s.Words = append(s.Words, conftree.Word{Text: value, At: at})
	case len(rest) > 0 && (o.argument == required || o.argument == optional && !strings.HasPrefix(rest[0].Text, "-")):
		s.Words = append(s.Words, rest[0])
		rest = rest[1:]
	}
	return s, rest
}
