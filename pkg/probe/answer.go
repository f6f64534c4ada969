package probe

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// matcher compares answers with what a check expects.
type matcher struct {
	want       config.Answer
	expression *regexp.Regexp // nil: none
}

// newMatcher compiles the expression, which the parser of the cluster file has accepted.
func newMatcher(want config.Answer) (matcher, error) {
	m := matcher{want: want}
	if want.Expression == "" {
		return m, nil
	}
	var err error
	m.expression, err = regexp.Compile(want.Expression)
	return m, err
}

// matches reports whether an answer is right.
func (m matcher) matches(answer string) bool {
	return strings.Contains(answer, m.want.Text) && (m.expression == nil || m.expression.MatchString(answer))
}

// missing says what a wrong answer lacks.
func (m matcher) missing(answer string) string {
	if !strings.Contains(answer, m.want.Text) {
		return fmt.Sprintf("does not contain %q", shortened(m.want.Text))
	}
	return fmt.Sprintf("does not match %q", shortened(m.want.Expression))
}

// shortened limits a text of the cluster file for a sentence.
func shortened(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// excerpt shows the beginning of an answer in a sentence.
func excerpt(answer string) string {
	if answer == "" {
		return "nothing"
	}
	return `"` + printable(answer, 80) + `"`
}
