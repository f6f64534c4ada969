package checker

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"
)

// BenchmarkIdle measures the memory of a thousand checks while none of them runs, and the cost of a second of checks.
// It justifies a heap of due times instead of a goroutine for each check.
func BenchmarkIdle(b *testing.B) {
	f := newFarm()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := New(f.probe, nil, slog.New(slog.DiscardHandler), nil)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	var specs []Spec
	for i := range 1000 {
		server := fmt.Sprintf("10.78.%d.%d:3306", i/250, i%250+1)
		specs = append(specs, spec(server, server))
	}
	c.Set(specs)
	<-c.Ready()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/1000, "B/check")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
	cancel()
	<-done
}
