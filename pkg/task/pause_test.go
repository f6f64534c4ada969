package task_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
)

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !task.Pause(t.Context(), time.Minute) || time.Since(begun) != time.Minute {
			t.Errorf("it took %s", time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if task.Pause(ctx, time.Minute) || time.Since(begun) != time.Second {
			t.Errorf("it took %s after the end of its context", time.Since(begun))
		}
		begun = time.Now()
		if !task.Pause(t.Context(), -time.Minute) || time.Since(begun) != 0 {
			t.Errorf("no time took %s", time.Since(begun))
		}
	})
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := new(heartbeat.Set)
		ctx, cancel := context.WithCancel(heartbeat.With(t.Context(), set.Start("a loop")))
		monitor, done, calls := heartbeat.NewMonitor(set), make(chan error), 0
		go func() { done <- task.Every(ctx, time.Second, func() { calls++ }) }()
		for range 30 {
			time.Sleep(time.Second)
			synctest.Wait()
			if idle := monitor.Look(time.Second); idle[0].For > time.Second {
				t.Fatalf("%+v", idle)
			}
		}
		cancel()
		if err := <-done; err != nil || calls < 29 || calls > 30 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}
