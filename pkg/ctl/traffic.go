package ctl

import (
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// rates returns new connections and bytes per second as three columns.
func rates(t *status.Traffic) string {
	if t == nil {
		return "-\t-\t-"
	}
	return fmt.Sprintf("%d\t%s\t%s", t.ConnectionRate, bytesOf(t.ByteRateIn), bytesOf(t.ByteRateOut))
}

// bytesOf is "999B", "1.5kB", "20MB", with decimal units.
func bytesOf(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%dB", n)
	}
	value, unit := float64(n), 0
	for value >= 999.5 && unit < 5 {
		value, unit = value/1000, unit+1
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f%cB", value, " kMGTP"[unit])
	}
	return fmt.Sprintf("%.0f%cB", value, " kMGTP"[unit])
}
