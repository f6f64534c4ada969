package ipvs

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// largeTable is the text of a table of 1 000 virtual servers of 4.
func largeTable() string {
	var text strings.Builder
	text.WriteString(heading)
	for n := range 1000 {
		fmt.Fprintf(&text, "TCP  0A01%04X:0050 rr persistent 5000 FFFFFF00\n", n)
		for m := range 4 {
			fmt.Fprintf(&text, "  -> 0A02%02X%02X:0050      Route   1      0          0         \n", n&255, m)
		}
	}
	return text.String()
}

// BenchmarkSnapshot is the cost of a snapshot of that table, without reading /proc.
func BenchmarkSnapshot(b *testing.B) {
	whole := []byte(largeTable())
	b.ReportAllocs()
	for b.Loop() {
		if services, err := parseSnapshot(whole, 10*time.Millisecond); err != nil || len(services) != 1000 {
			b.Fatal(len(services), err)
		}
	}
}
