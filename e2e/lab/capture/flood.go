package capture

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/internal/epoll"
)

// FloodOptions are the options of a Flood. Packets cycle through Payloads and through Sources.
type FloodOptions struct {
	Device      string // "" is eth0
	Sources     []netip.Addr
	Destination netip.Addr // zero: 224.0.0.18
	TTL         uint8      // 0 is 255
	Protocol    uint8      // 0 is 112, VRRP
	Payloads    [][]byte
	// Mutate corrupts each payload at random, from Seed: bits are flipped, bytes cut off or appended; one in eight is
	// replaced by random bytes.
	Mutate bool
	Seed   uint64
	// Rate is in packets per second, sent in a burst every 10 ms. After Count packets the flood ends by itself; 0 = no
	// limit.
	Rate, Count int
}

// A Flood is a process that sends packets until it is stopped, or until FloodOptions.Count is reached.
type Flood struct {
	h *lab.Host
	d *lab.Daemon
}

// StartFlood starts a flood on the host.
func StartFlood(h *lab.Host, o FloodOptions) *Flood {
	h.T().Helper()
	if o.Rate <= 0 || len(o.Sources) == 0 || len(o.Payloads) == 0 {
		h.T().Fatalf("lab: a flood from %s needs a rate, sources and payloads", h.Name)
	}
	return &Flood{h: h, d: h.StartRole("flood", "flood", o)}
}

// Stop ends the flood, or with a Count waits until it has ended, and returns how many packets were sent and the rate.
func (f *Flood) Stop() (sent int, perSecond float64) {
	f.h.T().Helper()
	f.d.CloseStdin()
	if code := f.d.Wait(60 * time.Second); code != 0 {
		f.h.T().Fatalf("the flood failed: %s", f.d.Tail(5))
	}
	<-f.d.LogEnded()
	match := regexp.MustCompile(`sent (\d+) in (\d+) µs`).FindStringSubmatch(f.d.Log())
	if match == nil {
		f.h.T().Fatalf("the flood did not report what it sent: %s", f.d.Tail(5))
	}
	sent, _ = strconv.Atoi(match[1])
	micros, _ := strconv.Atoi(match[2])
	return sent, float64(sent) / (float64(max(micros, 1)) / 1e6)
}

const floodBurst = 10 * time.Millisecond

func runFlood(encoded []byte) error {
	var o FloodOptions
	if err := json.Unmarshal(encoded, &o); err != nil {
		return err
	}
	o = o.withDefaults()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.BindToDevice(fd, o.Device); err != nil {
		return err
	}
	poll, err := epoll.New(int(os.Stdin.Fd()))
	if err != nil {
		return err
	}
	if err := lab.Ready(); err != nil {
		return err
	}
	sent, took, err := o.run(fd, poll)
	fmt.Printf("sent %d in %d µs\n", sent, took.Microseconds())
	return err
}

func (o FloodOptions) withDefaults() FloodOptions {
	if o.Device == "" {
		o.Device = "eth0"
	}
	if !o.Destination.IsValid() {
		o.Destination = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	if o.TTL == 0 {
		o.TTL = 255
	}
	if o.Protocol == 0 {
		o.Protocol = 112
	}
	return o
}

// run sends bursts until EOF on standard input or until Count is reached. Late bursts are not made up for: on a busy
// machine the flood is slower.
func (o FloodOptions) run(fd, poll int) (sent int, took time.Duration, err error) {
	random := rand.New(rand.NewPCG(o.Seed, 112))
	to := &unix.SockaddrInet4{Addr: o.Destination.As4()}
	events := make([]unix.EpollEvent, 1)
	start := time.Now()
	due, owed := start, 0.0
	for o.Count == 0 || sent < o.Count {
		for owed += float64(o.Rate) * floodBurst.Seconds(); owed >= 1 && (o.Count == 0 || sent < o.Count); owed-- {
			payload := o.Payloads[sent%len(o.Payloads)]
			if o.Mutate {
				payload = mutated(random, payload)
			}
			packet := ipv4(o.Sources[sent%len(o.Sources)], o.Destination, o.TTL, o.Protocol, payload)
			if err := unix.Sendto(fd, packet, 0, to); err != nil && err != unix.ENOBUFS && err != unix.EINTR {
				return sent, time.Since(start), err
			}
			sent++
		}
		due = due.Add(floodBurst)
		rest := time.Until(due)
		if rest < 0 {
			due, rest = time.Now(), 0
		}
		if o.Count != 0 {
			time.Sleep(rest)
			continue
		}
		count, err := epoll.Wait(poll, events, int((rest+time.Millisecond-1)/time.Millisecond))
		if count > 0 || err != nil {
			return sent, time.Since(start), err
		}
	}
	return sent, time.Since(start), nil
}

func mutated(random *rand.Rand, payload []byte) []byte {
	if random.IntN(8) == 0 {
		noise := make([]byte, random.IntN(120))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		return noise
	}
	b := append([]byte(nil), payload...)
	for range 1 + random.IntN(3) {
		switch at := random.IntN(len(b) + 1); {
		case at == len(b):
			b = append(b, byte(random.Uint32()))
		case random.IntN(4) == 0:
			b = b[:at]
		default:
			b[at] ^= 1 << random.IntN(8)
		}
	}
	return b
}

// ipv4 prepends an IPv4 header without options to a payload. The kernel fills in length, identification and checksum.
func ipv4(source, destination netip.Addr, ttl, protocol uint8, payload []byte) []byte {
	packet := make([]byte, 20, 20+len(payload))
	packet[0], packet[1] = 0x45, 0xc0 // no options; DSCP CS6
	binary.BigEndian.PutUint16(packet[2:], uint16(20+len(payload)))
	packet[8], packet[9] = ttl, protocol
	src, dst := source.As4(), destination.As4()
	copy(packet[12:], src[:])
	copy(packet[16:], dst[:])
	return append(packet, payload...)
}
