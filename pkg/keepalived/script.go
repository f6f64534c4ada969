package keepalived

import (
	"strconv"
	"strings"
)

// Script returns the words of a script's command line as keepalived runs it: raw is the line (Statement.Raw), the word
// with this index the command line. Inside of double quotes it is split at blanks, and single quotes keep blanks; escapes
// are those of the manual. others are the words that follow, which keepalived takes for the user and the group.
func Script(raw string, index int) (command, others []string) {
	words := split(raw)
	if index >= len(words) {
		return nil, nil
	}
	return split(words[index]), words[index+1:]
}

// split splits at blanks outside of quotes of either kind, and replaces escapes.
func split(s string) []string {
	var all []string
	var word strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			text, length := escape(s[i+1:])
			word.WriteString(text)
			in = true
			i += length
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && strings.IndexByte(blanks, c) >= 0:
			if in {
				all = append(all, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		all = append(all, word.String())
	}
	return all
}

// escape returns what the bytes after a backslash stand for, and how many they are.
func escape(s string) (text string, length int) {
	const names, values = `abEfnrtv`, "\a\b\x1b\f\n\r\t\v"
	if i := strings.IndexByte(names, s[0]); i >= 0 {
		return values[i : i+1], 1
	}
	digits := func(from, most, base int) (string, int) {
		n := from
		for n < len(s) && n < from+most {
			if _, err := strconv.ParseUint(s[n:n+1], base, 8); err != nil {
				break
			}
			n++
		}
		v, err := strconv.ParseUint(s[from:n], base, 16)
		if err != nil {
			return "", 0
		}
		return string([]byte{byte(v)}), n
	}
	switch {
	case s[0] >= '0' && s[0] <= '7':
		return digits(0, 3, 8)
	case s[0] == 'x':
		if text, n := digits(1, 2, 16); n > 0 {
			return text, n
		}
	case s[0] == 'c' && len(s) > 1:
		return string([]byte{s[1] & 0x1f}), 2
	}
	return s[:1], 1
}
