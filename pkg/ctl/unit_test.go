package ctl

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func TestSystemdSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1min 30s": 90 * time.Second, "1h 500ms": time.Hour + 500*time.Millisecond, "infinity": -1, "": -1, "5": -1, "-5s": -1, "s": -1,
	} {
		if got, ok := systemdSpan(text); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %s, %t", text, got, ok)
		}
	}
}

func TestShortStop(t *testing.T) {
	for _, tt := range []struct {
		stop, unit time.Duration
		known      bool
		warns      bool
	}{
		{10 * time.Second, 30 * time.Second, true, false},
		{15 * time.Second, 30 * time.Second, true, true},
		{15 * time.Second, 0, false, false},
		{0, 10 * time.Second, true, true},
	} {
		cfg := &config.Config{StopTimeout: tt.stop, Instances: make([]config.Instance, 1)}
		text := shortStop(cfg, func(string) (time.Duration, bool) { return tt.unit, tt.known })
		if (text != "") != tt.warns || tt.warns && !strings.Contains(text, "TimeoutStopSec of lvs-director.service, "+tt.unit.String()) {
			t.Errorf("%+v: %q", tt, text)
		}
	}
}
