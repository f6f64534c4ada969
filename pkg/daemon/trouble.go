package daemon

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// trouble is a problem that one goroutine looks for and others read. The zero value is none.
type trouble struct {
	text atomic.Pointer[string] // nil before the first look
}

// set replaces the text, "" for none, and reports whether it is another one.
func (t *trouble) set(text string) (changed bool) {
	before := t.text.Swap(&text)
	return text != "" && before == nil || before != nil && *before != text
}

// String returns the text, "" for none.
func (t *trouble) String() string {
	if text := t.text.Load(); text != nil {
		return *text
	}
	return ""
}

// findings returns the problem with its code, if there is one.
func (t *trouble) findings(code problem.Code) []problem.Finding {
	if text := t.String(); text != "" {
		return []problem.Finding{{Code: code, Text: text}}
	}
	return nil
}
