package ctl

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
)

func TestJudgeHost(t *testing.T) {
	file := func(intervals ...time.Duration) *config.Config {
		cfg := &config.Config{}
		for _, d := range intervals {
			cfg.Instances = append(cfg.Instances, config.Instance{AdvertInterval: d})
		}
		return cfg
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		cfg   *config.Config
		most  time.Duration // of 198 timers
		worst time.Duration // of two
		fit   bool
		says  string
	}{
		{"fit", file(time.Second, 10*ms), ms, 2 * ms, true, "fit for advert_interval 10ms"},
		{"late", file(10 * ms), 4 * ms, 5 * ms, false, "real-time priority"},
		{"one stall", file(10 * ms), ms, 20 * ms, false, "stalled"},
		{"fit for a longer one", file(time.Second), 4 * ms, 20 * ms, true, "fit for advert_interval 1s"},
		{"nothing to elect", file(), 0, 0, true, "no VRRP instance"},
	} {
		fit, line := evaluateHost(tt.cfg, func(time.Duration) (l election.Lateness) {
			for range 198 {
				l.Add(tt.most)
			}
			l.Add(tt.worst)
			return l
		})
		if fit != tt.fit || !strings.Contains(line, tt.says) {
			t.Errorf("%s: %t, %s", tt.name, fit, line)
		}
	}
}

func TestMeasureHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		l := measureHost(10 * time.Millisecond)
		if took := time.Since(begun); took != hostFor || l.Count != 200 || l.Max != 0 {
			t.Errorf("%d timers in %s, the worst %s late", l.Count, took, l.Max)
		}
	})
}
