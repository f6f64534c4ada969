package vrrpsock

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// raw returns a function that sends packets from b with any TTL and IP options. They arrive in order: a veth queues
// packets on the CPU that sends them, so all are sent from one CPU.
func raw(t *testing.T, h host) func(timeToLive uint8, options, payload []byte) {
	t.Helper()
	onOneCPU(t)
	var fd int
	h.Do(t, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return err
		}
		return unix.BindToDevice(fd, "eth0")
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func(timeToLive uint8, options, payload []byte) {
		t.Helper()
		header := make([]byte, headerSize, 64)
		header[0] = 4<<4 | uint8((headerSize+len(options))/4)
		header[8], header[9] = timeToLive, protocol
		src := far.As4()
		copy(header[12:], src[:])
		copy(header[16:], group.AsSlice())
		packet := slices.Concat(header, options, payload)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		must(t, unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: group.As4()}))
	}
}

// onOneCPU pins the test to the first CPU that it may use.
func onOneCPU(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &before))
	for cpu := 0; one.Count() == 0; cpu++ {
		if before.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	must(t, unix.SchedSetaffinity(0, &one))
	t.Cleanup(func() {
		must(t, unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	})
}

func ofRouter(vrid uint8) []byte {
	b := slices.Clone(advert)
	b[1] = vrid
	return b
}

// arrived waits for an advert of router last, which passes the filter, and returns the routers of all adverts before
// it.
func arrived(t *testing.T, s *Socket, last uint8) (vrids []int) {
	t.Helper()
	for deadline := time.Now().Add(wait); ; time.Sleep(time.Millisecond) {
		pending, err := s.Pending()
		must(t, err)
		for _, d := range pending {
			if d.Payload[1] == last {
				return vrids
			}
			vrids = append(vrids, int(d.Payload[1]))
		}
		if time.Now().After(deadline) {
			t.Fatalf("no advert of router %d arrived; before: %v", last, vrids)
		}
	}
}

func filterTo(t *testing.T, h host, s *Socket, vrids ...uint8) {
	t.Helper()
	h.Do(t, func() error { return s.Filter(vrids, 255) })
}

func TestFilterKeepsTheOthersOut(t *testing.T) {
	a, b := directors(t)
	s, send := openIn(t, a), raw(t, b)
	filterTo(t, a, s, 51, 1, 255, 51)
	options := []byte{1, 1, 1, 0, 1, 1, 1, 0} // no operations, end of options
	for vrid := range 255 {
		send(255, nil, ofRouter(uint8(vrid)))
	}
	send(255, options, ofRouter(51))
	send(255, options, ofRouter(52))
	send(254, nil, ofRouter(51))
	send(255, nil, nil)
	send(255, nil, []byte{0x31})
	send(255, nil, ofRouter(255))
	if got := arrived(t, s, 255); !slices.Equal(got, []int{1, 51, 51}) {
		t.Errorf("read %v, want the adverts of routers 1, 51 and 51 with IP options", got)
	}
	seen, unseen := s.Others()
	more, _ := s.Others() // the queue is limited in bytes, and the kernel's overhead per packet varies
	const others, ours = 257, 4
	if total := len(seen) + len(more) + int(unseen); len(seen) != sampleSize || total < others || total > others+ours {
		t.Errorf("%d others seen, then %d, and %d not, want %d of %d, and at most our %d more", len(seen), len(more), unseen, sampleSize, others, ours)
	}

	// VRIDs are added and removed.
	filterTo(t, a, s, 52)
	for _, vrid := range []uint8{51, 52, 53} {
		send(255, nil, ofRouter(vrid))
	}
	if got := arrived(t, s, 52); len(got) != 0 {
		t.Errorf("read %v, which was removed from the filter", got)
	}
	seen, _ = s.Others()
	if len(seen) != 2 || seen[0].Payload[1] != 51 || seen[1].Payload[1] != 53 || seen[0].Source != far || seen[0].TTL != 255 {
		t.Errorf("others: %v", seen)
	}
}

// All VRIDs together give the longest program.
func TestFilterOfEveryRouter(t *testing.T) {
	a, b := directors(t)
	s, to := openIn(t, a), openIn(t, b)
	var all []uint8
	for vrid := range 255 {
		all = append(all, uint8(vrid+1))
	}
	filterTo(t, a, s, all...)
	for _, vrid := range []uint8{1, 128, 255} {
		must(t, to.Send(ofRouter(vrid), far, group))
	}
	if got := arrived(t, s, 255); !slices.Equal(got, []int{1, 128}) {
		t.Errorf("read %v, want 1 and 128 before 255", got)
	}
}

// A flood of other routers' adverts takes no queue space from ours.
func TestFloodDoesNotReachTheQueue(t *testing.T) {
	a, b := directors(t)
	s, send := openIn(t, a), raw(t, b)
	filterTo(t, a, s, 51)
	const flood = 5000
	for range flood {
		send(255, nil, ofRouter(77))
	}
	send(255, nil, ofRouter(51))
	if got := arrived(t, s, 51); len(got) != 0 {
		t.Errorf("read %v", got)
	}
	seen, unseen := s.Others()
	more, _ := s.Others()
	if total := len(seen) + len(more) + int(unseen); total < flood || total > flood+1 {
		t.Errorf("%d seen, %d more, %d counted, want all %d, and at most our one more", len(seen), len(more), unseen, flood)
	}
}

func TestOthersAfterClose(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	filterTo(t, a, s, 51)
	must(t, s.Close())
	if seen, unseen := s.Others(); len(seen) != 0 || unseen != 0 {
		t.Errorf("%d seen, %d not", len(seen), unseen)
	}
	if err := a.Enter(func() error { return s.Filter([]uint8{51}, 255) }); err == nil {
		t.Error("a closed socket accepts a filter")
	}
	if s.others.fd != 0 {
		t.Error("a closed socket opens another one")
	}
}
