package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bundle"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/kernel/packets"
)

// The time for which a bundle records packets, and the longest one.
const captureFor, mostCaptured = 10 * time.Second, time.Minute

func checkCapture(within time.Duration) error {
	if within < 0 || within > mostCaptured {
		return &daemon.UsageError{Err: fmt.Errorf("--capture %s: must be between 0s, which records nothing, and %s", within, mostCaptured)}
	}
	return nil
}

// capturePart records packets while the parts before it are read, and waits for the end.
func capturePart(ctx context.Context, within time.Duration) bundle.Part {
	type recorded struct {
		file []byte
		err  error
	}
	done := make(chan recorded, 1)
	begin := time.Now()
	go func() {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		file, full, err := packets.Record(ctx, bundle.MaxPart)
		if full {
			err = fmt.Errorf("it ends after %s of %s: a part has at most %d bytes", time.Since(begin).Round(time.Millisecond), within, bundle.MaxPart)
		}
		done <- recorded{file, err}
	}()
	return bundle.Part{Name: "packets.pcap", Within: within + bundle.PartTime, Read: func(ctx context.Context) ([]byte, error) {
		select {
		case r := <-done:
			return r.file, r.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}
