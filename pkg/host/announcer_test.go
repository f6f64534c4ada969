package host

import (
	"errors"
	"net/netip"
	"testing"
)

// fakeSocket is the socket of an interface that may have been replaced.
type fakeSocket struct {
	stale  *bool
	sent   *int
	closed *int
}

func (v fakeSocket) Close() error { *v.closed++; return nil }

func (v fakeSocket) Ask(vip netip.Addr) error { return v.Announce(vip) }

func (v fakeSocket) Announce(netip.Addr) error {
	if *v.stale {
		return errors.New("no such device")
	}
	*v.sent++
	return nil
}

func TestAnnouncementLeavesAReplacedInterfaceAtOnce(t *testing.T) {
	var opened, closed, sent int
	var last *bool
	gone := false
	a := newAnnouncer()
	a.open = func(string) (announcements, error) {
		opened++
		if gone {
			return nil, errors.New("no such interface")
		}
		last = new(bool)
		return fakeSocket{last, &sent, &closed}, nil
	}
	vip := netip.MustParseAddr("10.77.0.100")
	for _, send := range []func(string, netip.Addr) error{a.Announce, a.Ask} {
		if err := send("eth0", vip); err != nil {
			t.Fatal(err)
		}
	}
	*last = true // replaced by one of the same name
	if err := a.Announce("eth0", vip); err != nil || sent != 3 || opened != 2 || closed != 1 {
		t.Errorf("%v, sent %d, opened %d, closed %d: want a new socket and the announcement", err, sent, opened, closed)
	}
	*last, gone = true, true
	if err := a.Announce("eth0", vip); err == nil || opened != 3 || closed != 2 {
		t.Errorf("%v, opened %d, closed %d: want an error after one more try", err, opened, closed)
	}
	_ = a.Close()
	if closed != 2 {
		t.Errorf("closed %d times, want 2: the broken socket is not kept", closed)
	}
}

// TestSocketIsOpenedOnce: a socket that was opened before it was needed is the one that is used.
func TestSocketIsOpenedOnce(t *testing.T) {
	var opened, closed, sent int
	a := newAnnouncer()
	missing := errors.New("no such interface")
	a.open = func(string) (announcements, error) {
		if opened++; opened == 1 {
			return nil, missing
		}
		return fakeSocket{new(bool), &sent, &closed}, nil
	}
	if err := a.Open("eth0"); !errors.Is(err, missing) {
		t.Errorf("%v, want %v", err, missing)
	}
	for range 2 {
		if err := a.Open("eth0"); err != nil {
			t.Error(err)
		}
	}
	if err := a.Announce("eth0", netip.MustParseAddr("10.77.0.100")); err != nil || opened != 2 || sent != 1 || closed != 0 {
		t.Errorf("%v, opened %d, sent %d, closed %d", err, opened, sent, closed)
	}
}
