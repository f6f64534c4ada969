package metrics

import (
	"fmt"
	"strings"
)

// Reference returns the table of all families, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| name | type | labels | of | |\n|---|---|---|---|---|\n")
	for _, f := range Families() {
		labels := make([]string, len(f.Labels))
		for i, l := range f.Labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, strings.Join(labels, ", "), f.Role, f.Help)
	}
	return b.String()
}
