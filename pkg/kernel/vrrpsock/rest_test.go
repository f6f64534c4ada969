package vrrpsock

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// pair returns the socket of one host and a function that sends packets from another one.
func pair(t *testing.T, v6 bool) (h host, s *Socket, send func(payload []byte)) {
	t.Helper()
	onOneCPU(t) // so that packets arrive in order
	if v6 {
		a, b := directors6(t)
		from := openIn6(t, b)
		return a, openIn6(t, a), func(payload []byte) { t.Helper(); must(t, from.Send(payload, far6, group6)) }
	}
	a, b := directors(t)
	from := openIn(t, b)
	return a, openIn(t, a), func(payload []byte) { t.Helper(); must(t, from.Send(payload, far, group)) }
}

func resignation(vrid uint8) []byte {
	b := ofRouter(vrid)
	b[2] = vrrp.PriorityResign
	return b
}

// resting calls Rest in the network namespace of the socket, and returns whether it ended long before its time.
func resting(t *testing.T, h host, s *Socket, longest time.Duration, awake ...uint8) (early bool) {
	t.Helper()
	begun := time.Now()
	h.Do(t, func() error { return s.Rest(longest, awake) })
	return time.Since(begun) < longest
}

// collect reads until n datagrams have come, and returns VRIDs and priorities.
func collect(t *testing.T, s *Socket, n int) (all []vrrp.Datagram, what [][2]uint8) {
	t.Helper()
	for end := time.Now().Add(wait); len(all) < n; time.Sleep(time.Millisecond) {
		pending, err := s.Pending()
		must(t, err)
		for _, d := range pending {
			all = append(all, ownPayload(d))
			what = append(what, [2]uint8{d.Payload[1], d.Payload[2]})
		}
		if time.Now().After(end) {
			t.Fatalf("%d datagrams: %v", len(all), what)
		}
	}
	return all, what
}

// TestRest: the adverts of the routers that are not awake do not end a rest, and are read after it with their age, in the order in
// which they came. Resignations, the adverts of routers that are awake, and Wake end it. Wait, and another Filter, end it for good.
func TestRest(t *testing.T) {
	t.Run("IPv4", func(t *testing.T) { rests(t, false) })
	t.Run("IPv6", func(t *testing.T) { rests(t, true) })
}

func rests(t *testing.T, v6 bool) {
	const short = 50 * time.Millisecond
	h, s, send := pair(t, v6)
	filterTo(t, h, s, 51, 52, 53)
	if resting(t, h, s, short) {
		t.Error("it ends without a packet")
	}
	send(ofRouter(51))
	send(ofRouter(99)) // of somebody else
	if resting(t, h, s, short) {
		t.Error("an advert ends it")
	}
	all, _ := collect(t, s, 1)
	if d := all[0]; d.Payload[1] != 51 || d.Age < short || d.Age > wait || d.TTL != 255 || d.Source != map[bool]any{false: far, true: far6}[v6] {
		t.Errorf("%+v", d)
	}

	send(ofRouter(51))
	send(ofRouter(52))
	send(resignation(51))
	send(ofRouter(53))
	if !resting(t, h, s, wait) {
		t.Error("a resignation does not end it")
	}
	if _, what := collect(t, s, 4); !slices.Equal(what, [][2]uint8{{51, 150}, {52, 150}, {51, 0}, {53, 150}}) {
		t.Errorf("read %v", what)
	}

	if resting(t, h, s, short, 52, 53) { // the filters are those of 52 and 53 from now on
		t.Error("it ends without a packet")
	}
	send(ofRouter(51))
	send(ofRouter(53))
	if !resting(t, h, s, wait, 52, 53) {
		t.Error("the advert of a router that is awake does not end it")
	}
	if _, what := collect(t, s, 2); !slices.Equal(what, [][2]uint8{{51, 150}, {53, 150}}) {
		t.Errorf("read %v", what)
	}

	s.Wake()
	if !resting(t, h, s, wait) {
		t.Error("Wake does not end the next one")
	}
	go func() { time.Sleep(short); s.Wake() }()
	if !resting(t, h, s, wait) {
		t.Error("Wake does not end it")
	}

	send(ofRouter(51))
	h.Do(t, func() error { return s.Filter([]uint8{51}, 255) })
	send(ofRouter(51))
	s.Wake() // must not end all Waits from now on
	if _, what := collect(t, s, 2); !slices.Equal(what, [][2]uint8{{51, 150}, {51, 150}}) {
		t.Errorf("read %v", what)
	}
	for n := 0; ; n++ {
		ready, err := s.Wait()
		must(t, err)
		if !ready && n > 0 {
			break
		}
		if n == 10 {
			t.Fatal("Wait returns all the time")
		}
		_, _ = s.Pending()
	}
	send(ofRouter(51))
	if ready, err := s.Wait(); !ready || err != nil {
		t.Errorf("Wait: %t, %v", ready, err)
	}
}

// TestNothingIsLostBetweenRests: whatever is awake, each packet is read once at least.
func TestNothingIsLostBetweenRests(t *testing.T) {
	h, s, send := pair(t, false)
	filterTo(t, h, s, 51, 52)
	got := map[uint8]bool{}
	count := func() {
		pending, err := s.Pending()
		must(t, err)
		for _, d := range pending {
			got[d.Payload[2]] = true
		}
	}
	for n := range uint8(200) {
		b := ofRouter(51 + n%2)
		b[2] = 1 + n
		send(b)
		switch n % 4 {
		case 0:
			resting(t, h, s, time.Microsecond)
		case 1:
			resting(t, h, s, time.Microsecond, 51)
		case 2:
			resting(t, h, s, time.Microsecond, 51, 52)
		case 3:
			must(t, s.conn.SetReadDeadline(time.Now()))
			s.until = time.Now().Add(waitAtMost)
			_, err := s.Wait()
			must(t, err)
		}
		count()
	}
	for end := time.Now().Add(wait); len(got) < 200 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		count()
	}
	if len(got) != 200 {
		t.Errorf("%d of 200", len(got))
	}
}

func TestCloseEndsRest(t *testing.T) {
	h, s, _ := pair(t, false)
	filterTo(t, h, s, 51)
	resting(t, h, s, time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- s.Rest(wait, nil) }()
	time.Sleep(10 * time.Millisecond)
	must(t, s.Close())
	ends(t, ended, net.ErrClosed)
	var err error
	h.Do(t, func() error { err = s.Rest(wait, []uint8{51}); return nil })
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("Rest: %v", err)
	}
	s.Wake()
	if _, err := s.Pending(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Pending: %v", err)
	}
}
