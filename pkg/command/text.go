package command

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// outputShown is how much of the first line of the output is kept, in bytes.
const outputShown = 200

// firstLine returns the first line that is not empty, without control characters.
func firstLine(s string) string {
	s = strings.TrimSpace(s)
	s, _, _ = strings.Cut(s, "\n")
	cut := len(s) > outputShown
	if cut {
		s = s[:outputShown]
		for !utf8.ValidString(s) && len(s) > outputShown-utf8.UTFMax {
			s = s[:len(s)-1]
		}
	}
	quoted := strconv.QuoteToGraphic(strings.TrimSpace(s))
	s = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if cut {
		s += "…"
	}
	return s
}
