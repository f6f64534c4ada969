package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// Heartbeats implements Service for a daemon without loops.
func (s *fakeService) Heartbeats() *heartbeat.Set { return nil }
func (*following) Heartbeats() *heartbeat.Set     { return nil }

// Record implements Service for a daemon without VRRP instances.
func (s *fakeService) Record(string) (string, error) { return "", nil }
func (*following) Record(string) (string, error)     { return "", nil }

const dogLimit = 8 * time.Second

// feeder runs feed and counts its calls.
type feeder struct {
	loops heartbeat.Set
	fed   atomic.Int64
	log   bytes.Buffer
}

func (k *feeder) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		feed(ctx, &k.loops, dogLimit, slog.New(slog.NewTextHandler(&k.log, nil)), func() { k.fed.Add(1) })
	}()
	t.Cleanup(func() { stop(); <-done })
}

// in advances the time and returns how often the watchdog was fed.
func (k *feeder) in(d time.Duration) int64 {
	before := k.fed.Load()
	time.Sleep(d)
	synctest.Wait()
	return k.fed.Load() - before
}

func TestWatchdogIsFedByTheLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k feeder
		hang := make(chan struct{})
		beating := k.loops.Start("the table loop")
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				beating.Beat()
				select {
				case <-stop:
					return
				case <-hang:
					time.Sleep(30 * time.Second)
				case <-time.After(heartbeat.Every):
				}
			}
		}()
		k.run(t)
		if n := k.in(time.Minute); n < 29 { // four times per limit
			t.Errorf("fed %d times a minute", n)
		}
		hang <- struct{}{}
		if n := k.in(dogLimit + 2*time.Second); n > 5 || n < 3 {
			t.Errorf("fed %d times before the limit of the stalled loop", n)
		}
		if n := k.in(18 * time.Second); n != 0 {
			t.Errorf("fed %d times for a stalled loop", n)
		}
		if log := k.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `loop="the table loop"`) {
			t.Errorf("log:\n%s", log)
		}
		if n := k.in(20 * time.Second); n < 5 {
			t.Errorf("fed %d times after the loop made progress again", n)
		}
	})
}

func TestWatchdogSpeaksToSystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "200000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); watchdog(ctx, nil, slog.New(slog.DiscardHandler)) }()
	b := make([]byte, 100)
	_ = listener.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range 2 {
		n, err := listener.Read(b)
		if err != nil || string(b[:n]) != "WATCHDOG=1" {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
	stop()
	<-done

	t.Setenv("WATCHDOG_PID", "1") // for another process: do nothing
	watchdog(t.Context(), nil, slog.New(slog.DiscardHandler))
}
