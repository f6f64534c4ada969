package vrrpsock

import (
	"errors"
	"net"
	"testing"
	"time"
)

// Wait tells of a datagram and leaves it there; without one it comes back by itself, also when its deadline was long over.
func TestWait(t *testing.T) {
	a, b := directors(t)
	s, peer := openIn(t, a), openIn(t, b)
	begun := time.Now()
	if ready, err := s.Wait(); ready || err != nil {
		t.Errorf("nothing there: %t, %v", ready, err)
	}
	if took := time.Since(begun); took < checkInterval/2 || took > wait {
		t.Errorf("came back after %v, want %v", took, checkInterval)
	}
	must(t, peer.Send(advert, far, group))
	must(t, peer.Send(advert, far, group))
	for range 2 {
		if ready, err := s.Wait(); !ready || err != nil {
			t.Fatalf("a datagram there: %t, %v", ready, err)
		}
	}
	// Both may take a moment to come over.
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
		t.Fatal("Wait hangs")
	}
}
