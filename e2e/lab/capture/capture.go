package capture

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A Packet is a packet as printed by tcpdump(8), with link-level addresses.
type Packet struct {
	Time time.Time // the kernel's timestamp, wall clock
	Text string    // without the timestamp; further lines of -v follow after newlines
}

// A Capture is a tcpdump process on an interface of a host.
type Capture struct {
	h      *lab.Host
	device string
	d      *lab.Daemon
	frames int // number of markers sent
}

// The lab sends a marker frame of this type (IEEE 802 local experimental EtherType 1). When tcpdump has printed it,
// everything before it has been captured.
const (
	markerType   = 0x88b5
	markerFilter = "ether proto 0x88b5"
)

// Start captures the packets of an interface that match a tcpdump expression ("" = all), and returns when the capture
// is running. extra are further options of tcpdump ("-v").
func Start(h *lab.Host, device, expression string, extra ...string) *Capture {
	h.T().Helper()
	filter := markerFilter
	if expression != "" {
		filter = fmt.Sprintf("(%s) or %s", expression, markerFilter)
	}
	// Each packet takes a slot of the full snapshot length in the ring. With tcpdump's default of 256 kB only about 100
	// packets would fit.
	argv := []string{"tcpdump", "-i", device, "-Z", "root", "-n", "-e", "-tt", "-l", "--immediate-mode", "-B", "32768", "-s", "512"}
	argv = append(append(argv, extra...), filter)
	d := h.StartWith(lab.StartOptions{Name: "tcpdump-" + device, Argv: argv})
	d.WaitLog(`listening on `, lab.Slowest)
	return &Capture{h: h, device: device, d: d}
}

// Packets returns all packets up to now. The capture continues.
func (c *Capture) Packets() []Packet {
	c.h.T().Helper()
	c.sync()
	return parsePackets(c.d.LogLines())
}

// Stop ends the capture and returns its packets. It fails the test if the kernel dropped any.
func (c *Capture) Stop() []Packet {
	c.h.T().Helper()
	c.sync()
	if c.d.Stop() != 0 {
		c.h.T().Fatalf("lab: capture on %s of %s: %s", c.device, c.h.Name, c.d.Tail(5))
	}
	<-c.d.LogEnded()
	if dropped := regexp.MustCompile(`(?m)^([1-9]\d*) packets? dropped by kernel`).FindString(c.d.Log()); dropped != "" {
		c.h.T().Fatalf("lab: capture on %s of %s is incomplete: %s (narrow the expression)", c.device, c.h.Name, dropped)
	}
	return parsePackets(c.d.LogLines())
}

// Wait waits for a packet whose text matches a regular expression, and returns it. Packets that were captured before
// the call count.
func (c *Capture) Wait(pattern string, timeout time.Duration) Packet {
	c.h.T().Helper()
	line := c.d.WaitLog(`^\d+\.\d+ .*`+pattern, timeout)
	packet, _ := parsePacket(line)
	return packet
}

// WaitNext is Wait for a packet that tcpdump prints after the call.
func (c *Capture) WaitNext(pattern string, timeout time.Duration) Packet {
	c.h.T().Helper()
	line := c.d.Mark().WaitLog(`^\d+\.\d+ .*`+pattern, timeout)
	packet, _ := parsePacket(line)
	return packet
}

// sync sends a marker frame out of the interface and waits until tcpdump has printed it. Then every earlier packet is
// in the log.
func (c *Capture) sync() {
	c.h.T().Helper()
	if !c.d.Running() {
		return
	}
	mark := c.d.Mark()
	address := c.newMarker()
	if err := sendMarker(c.h, c.device, address); err != nil {
		// An interface that is down or has no link-layer address cannot send the marker. Allow the time that a slow
		// guest needs for pending packets.
		time.Sleep(300 * time.Millisecond)
		return
	}
	mark.WaitLog(address.String(), lab.Slowest)
}

// newMarker returns a unique destination address for a marker: it contains a counter, and the process id to tell
// concurrent captures apart.
func (c *Capture) newMarker() net.HardwareAddr {
	c.frames++
	pid := c.d.PID()
	return net.HardwareAddr{0x06, byte(pid >> 16), byte(pid >> 8), byte(pid), byte(c.frames >> 8), byte(c.frames)}
}

func parsePackets(lines []lab.LogLine) []Packet {
	var packets []Packet
	open := false
	for _, line := range lines {
		packet, ok := parsePacket(line)
		switch {
		case ok && strings.Contains(packet.Text, "0x88b5"):
			open = false
		case ok:
			packets = append(packets, packet)
			open = true
		case open && strings.HasPrefix(line.Text, " ") || open && strings.HasPrefix(line.Text, "\t"):
			last := &packets[len(packets)-1]
			last.Text += "\n" + line.Text // with -v a packet continues on indented lines
		}
	}
	return packets
}

var stamped = regexp.MustCompile(`^(\d+)\.(\d{6}) (.*)$`)

func parsePacket(line lab.LogLine) (Packet, bool) {
	words := stamped.FindStringSubmatch(line.Text)
	if words == nil {
		return Packet{}, false
	}
	seconds, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return Packet{}, false
	}
	micros, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return Packet{}, false
	}
	return Packet{Time: time.Unix(seconds, micros*1000), Text: words[3]}, true
}

// Matching returns the packets whose text matches a regular expression.
func Matching(packets []Packet, pattern string) []Packet {
	expression := regexp.MustCompile(pattern)
	var found []Packet
	for _, packet := range packets {
		if expression.MatchString(packet.Text) {
			found = append(found, packet)
		}
	}
	return found
}
