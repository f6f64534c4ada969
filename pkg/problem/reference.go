package problem

import (
	"fmt"
	"strings"
)

// Reference returns the table of all codes, in Markdown.
func (r Registry) Reference() string {
	var b strings.Builder
	b.WriteString("| code | severity | reported by | of | means | do | not reported beside |\n|---|---|---|---|---|---|---|\n")
	for _, d := range r.all {
		beside := make([]string, len(d.ExplainedBy))
		for i, code := range d.ExplainedBy {
			beside[i] = "`" + string(code) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", d.Code, d.Severity, d.Role, d.Subject, d.Means, d.Remedy, strings.Join(beside, ", "))
	}
	return b.String()
}
