package daemon

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"
)

func collects() uint64 {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(percent)
	return percent[0].Value.Uint64()
}

// The garbage of a start is given back some seconds after it, and not while reloads follow each other.
func TestMemorySettles(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for env, want := range map[string]uint64{"": settledPercent, "100": 100} {
		t.Run("GOGC="+env, func(t *testing.T) {
			t.Setenv("GOGC", env)
			debug.SetGCPercent(100)
			synctest.Test(t, func(t *testing.T) {
				var m memory
				for range 3 {
					m.used()
					time.Sleep(settledAfter - time.Millisecond)
					synctest.Wait()
					if got := collects(); got != 100 {
						t.Fatalf("GOGC is %d", got)
					}
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if got := collects(); got != want {
					t.Errorf("GOGC is %d, want %d", got, want)
				}
				if m.working(); collects() != usualPercent {
					t.Errorf("GOGC is %d during a reload", collects())
				}
			})
		})
	}
}
