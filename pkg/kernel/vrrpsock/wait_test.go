package vrrpsock

import (
	"errors"
	"net"
	"testing"
	"time"
)

// Wait reports a datagram and leaves it queued; without one it returns at the next whole second, when the loops of a director wake
// up, even if an earlier deadline has passed.
func TestWait(t *testing.T) {
	a, b := directors(t)
	s, peer := openIn(t, a), openIn(t, b)
	for range 2 {
		begun := time.Now()
		if ready, err := s.Wait(); ready || err != nil {
			t.Errorf("empty queue: %t, %v", ready, err)
		}
		if took := time.Since(begun); time.Now().Unix() == begun.Unix() || took > wait {
			t.Errorf("returned %v after %v", took, begun)
		}
	}
	must(t, peer.Send(advert, far, group))
	must(t, peer.Send(advert, far, group))
	for range 2 {
		if ready, err := s.Wait(); !ready || err != nil {
			t.Fatalf("queued datagram: %t, %v", ready, err)
		}
	}
	// Both may take a moment to arrive.
	for got, end := 0, time.Now().Add(wait); got < 2; {
		pending, err := s.Pending()
		must(t, err)
		if got += len(pending); time.Now().After(end) {
			t.Fatalf("%d datagrams, want 2", got)
		}
	}
}

func TestCloseEndsWait(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Wait(); err != nil {
				ended <- err
				return
			}
		}
	}()
	must(t, s.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Wait: %v; want net.ErrClosed", err)
		}
	case <-time.After(wait):
		t.Fatal("Wait does not return")
	}
}
