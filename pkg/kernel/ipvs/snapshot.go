package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// tableFile is the table of the calling thread's network namespace. It is read as a stream because its size is 0.
const tableFile = "/proc/thread-self/net/ip_vs"

// Snapshot reads the table from /proc. That takes about 1 ms for 1 000 entries, whereas netlink needs a dump for every
// virtual server. It needs no open Table, and any goroutine may call it.
//
// It is for detecting drift and for display: it does not contain flags, thresholds and Stray settings, and assumes IPv4 for a service by
// firewall mark unless its first real server is IPv6. A concurrent change may be partly visible. If several network
// namespaces of a machine have virtual servers, entries of a table of more than a page (about 60 lines) may be missing:
// ip_vs_info_seq_next counts those of all namespaces, ip_vs_info_array those of one. A difference is therefore a reason
// to Read, never to delete.
func Snapshot() ([]lvs.Service, error) {
	text, err := os.ReadFile(tableFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ipvs: snapshot: %w", ErrNoIPVS)
	}
	if err != nil {
		return nil, fmt.Errorf("ipvs: snapshot: %w", err)
	}
	tick, err := tick()
	if err != nil {
		return nil, fmt.Errorf("ipvs: snapshot: %w", err)
	}
	services, err := parseSnapshot(text, tick)
	if err != nil {
		return nil, fmt.Errorf("ipvs: snapshot: %s: %w", tableFile, err)
	}
	return lvs.Sorted(services), nil
}

// tick is the length of a jiffy, in which ip_vs_info_seq_show prints the timeout of persistence. The coarse clocks
// advance once in a jiffy.
func tick() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &t); err != nil {
		return 0, fmt.Errorf("read the length of a jiffy: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// giveWayEvery is the number of lines after which the CPU is yielded: the runtime preempts only after 10 ms.
const giveWayEvery = 64

// parseSnapshot parses the output of ip_vs_info_seq_show.
func parseSnapshot(text []byte, tick time.Duration) ([]lvs.Service, error) {
	var services []lvs.Service
	var fields []string // of a line; reused, because garbage from thousands of lines takes CPU time from the election
	number := 0
	for line := range strings.Lines(string(text)) {
		if number++; number%giveWayEvery == 0 {
			runtime.Gosched()
		}
		fields = slices.AppendSeq(fields[:0], strings.FieldsSeq(line))
		if number <= 3 || len(fields) == 0 { // the heading
			continue
		}
		var err error
		switch {
		case fields[0] != "->":
			var service lvs.Service
			service, err = snapshotService(fields, tick)
			services = append(services, service)
		case len(services) == 0:
			err = errors.New("a real server before the first virtual server")
		default:
			var server lvs.Server
			server, err = snapshotServer(fields[1:])
			service := &services[len(services)-1]
			if service.Protocol == lvs.FirewallMark && len(service.Servers) == 0 && kernel.FamilyOf(server.Address) == kernel.IPv6 {
				service.Key = lvs.Marked(kernel.IPv6, service.Mark)
			}
			service.Servers = append(service.Servers, server)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	for i, s := range services {
		if s.Scheduler == "mh" {
			services[i].Assignment = lvs.AssignmentOf(s.Servers)
		}
	}
	return services, nil
}

// snapshotService parses "TCP  0A4D0064:0CEA wrr persistent 5000 FFFFFFFF".
func snapshotService(fields []string, tick time.Duration) (lvs.Service, error) {
	if len(fields) < 3 {
		return lvs.Service{}, fmt.Errorf("a virtual server of %d fields", len(fields))
	}
	service := lvs.Service{Scheduler: fields[2], OnePacket: slices.Contains(fields[3:], "ops")}
	if fields[0] == "FWM" {
		mark, err := strconv.ParseUint(fields[1], 16, 32)
		if err != nil {
			return lvs.Service{}, fmt.Errorf("mark %q", fields[1])
		}
		service.Key = lvs.Marked(kernel.IPv4, uint32(mark))
	} else {
		address, err := snapshotAddress(fields[1])
		if err != nil {
			return lvs.Service{}, err
		}
		service.Key = lvs.Key{Protocol: strings.ToLower(fields[0]), Address: address.Addr(), Port: address.Port()}
	}
	at := slices.Index(fields, "persistent")
	if at < 0 {
		return service, nil
	}
	if len(fields) < at+3 {
		return lvs.Service{}, errors.New("persistence without timeout and netmask")
	}
	jiffies, err := strconv.ParseInt(fields[at+1], 10, 32)
	mask, maskErr := strconv.ParseUint(fields[at+2], 16, 32)
	if err != nil || maskErr != nil {
		return lvs.Service{}, fmt.Errorf("persistence %q %q", fields[at+1], fields[at+2])
	}
	service.Persistence = (time.Duration(jiffies) * tick).Round(time.Second)
	// Printed in host order: convert it back to memory order. For IPv6 the prefix length was byte-swapped.
	memory := binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(mask))
	var ok bool
	if service.Netmask, ok = prefix(binary.NativeEndian.Uint32(memory), service.Family()); !ok {
		service.Netmask = service.Address.BitLen()
	}
	return service, nil
}

// snapshotServer parses "0A4D000B:0CEA      Route   3      0          0".
func snapshotServer(fields []string) (lvs.Server, error) {
	if len(fields) < 5 {
		return lvs.Server{}, fmt.Errorf("a real server of %d fields", len(fields))
	}
	address, err := snapshotAddress(fields[0])
	if err != nil {
		return lvs.Server{}, err
	}
	var numbers [3]int
	for i, field := range fields[2:5] {
		if numbers[i], err = strconv.Atoi(field); err != nil {
			return lvs.Server{}, fmt.Errorf("%q is not a number", field)
		}
	}
	return lvs.Server{
		Address: address.Addr(), Port: address.Port(), Forward: snapshotForward(fields[1]),
		Weight: numbers[0], ActiveConnections: numbers[1], InactiveConnections: numbers[2],
	}, nil
}

// snapshotForward parses the names of ip_vs_fwd_name.
func snapshotForward(name string) config.Forward {
	switch name {
	case "Route":
		return config.DR
	case "Masq":
		return config.NAT
	case "Tunnel":
		return config.TUN
	default: // "Local", "Bypass"
		return config.Forward(strings.ToLower(name))
	}
}

// snapshotAddress parses "0A4D0064:0CEA" or "[fd00:0000:0000:0000:0000:0000:0000:0100]:0CEA"; the port is hexadecimal.
func snapshotAddress(text string) (netip.AddrPort, error) {
	wrong := fmt.Errorf("%q is not an address with a port", text)
	host, portText, ok := cutLast(text, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, wrong
	}
	if six, bracketed := strings.CutPrefix(host, "["); bracketed {
		address, err := netip.ParseAddr(strings.TrimSuffix(six, "]"))
		if err != nil || !address.Is6() || address.Zone() != "" {
			return netip.AddrPort{}, wrong
		}
		return netip.AddrPortFrom(address, uint16(port)), nil
	}
	four, err := strconv.ParseUint(host, 16, 32)
	if err != nil {
		return netip.AddrPort{}, wrong
	}
	address, _ := netip.AddrFromSlice(binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(four)))
	return netip.AddrPortFrom(address, uint16(port)), nil
}

func cutLast(text, separator string) (before, after string, ok bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}
