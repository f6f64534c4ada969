package daemon

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestADiskThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, thaw, asked := newDisk(), make(chan struct{}), atomic.Int32{}
		question := func() (int, error) {
			asked.Add(1)
			<-thaw
			return 42, nil
		}
		for range 3 { // the second and third are not even asked
			begun := time.Now()
			if _, err := ask(d, time.Second, question); !errors.Is(err, errNoAnswer) {
				t.Error(err)
			}
			if took := time.Since(begun); took != time.Second {
				t.Errorf("it took %s", took)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d questions hang, want one", n)
		}
		close(thaw)
		if got, err := ask(d, time.Second, question); got != 42 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}
