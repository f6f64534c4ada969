package daemon

import (
	"runtime"
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
	ballast := make([]byte, 6*settledGarbage) // so that the percentage is not the usual one
	defer runtime.KeepAlive(ballast)
	for env, changes := range map[string]bool{"": true, "100": false} {
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
				if got := collects(); (got < usualPercent) != changes {
					t.Errorf("GOGC is %d, changes %t", got, changes)
				}
				if m.working(); collects() != usualPercent {
					t.Errorf("GOGC is %d during a reload", collects())
				}
			})
		})
	}
}

func TestSettledPercent(t *testing.T) {
	for inUse, want := range map[uint64]int{0: 100, 1 << 20: 100, 2 << 20: 100, 4 << 20: 50, 8 << 20: 25, 10 << 20: 20, 100 << 20: 20} {
		if got := settled(inUse); got != want {
			t.Errorf("%d bytes in use: %d %%, want %d", inUse, got, want)
		}
	}
}
