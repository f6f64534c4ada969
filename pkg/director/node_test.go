package director

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// node is a machine of a pair, with the packets that reach it.
type node struct {
	*machine
	packets map[string]func() // sent every 10 ms, by name
	slower  int               // by how much adverts are slower than one every 100 ms
	end     func()
}

func newNode(m *machine) *node {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	n := &node{machine: m, packets: map[string]func(){}, slower: 1, end: func() { cancel(); <-done }}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			n.mu.Lock()
			for _, send := range n.packets {
				send()
			}
			n.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return n
}

// loses deletes the VIP, which cannot be added again.
func (n *node) loses() {
	n.refuse("ip addr add", errors.New("no buffers"))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deletes("eth0", vip)
}

func (n *node) socket() *fakeSocket {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets["eth0"]
}

// hear delivers adverts of another host, one every so many times 10 ms.
func (n *node) hear(name string, every int, from string, vrid, priority uint8) {
	n.deliver(name, every, 1, vrrp.Packet{
		Version: 3, VRID: vrid, Priority: priority, Interval: time.Duration(every) * 10 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr(vip)},
	}, from)
}

// flood delivers 5 000 packets a second that are ignored.
func (n *node) flood(from string, vrid uint8) {
	n.deliver("flood", 1, 50, vrrp.Packet{Version: 2, VRID: vrid, Priority: 1, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr(vip)}}, from)
}

func (n *node) deliver(name string, every, count int, p vrrp.Packet, from string) {
	p.Interval *= time.Duration(n.slower)
	n.inject(name, every*n.slower, count, n.wire(p, from), from)
}

// claim makes another machine claim an address with ARP all the time; "" ends that.
func (n *node) claim(address, hardware string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.claimedBy[address] = hardware
}

// answersARP makes another machine answer ARP requests for an address; "" ends that.
func (n *node) answersARP(address, hardware string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answeredBy[address] = hardware
}

// corrupt delivers ten packets a second with a wrong checksum.
func (n *node) corrupt(name string, p vrrp.Packet, from string) {
	payload := n.wire(p, from)
	payload[7]++
	n.inject(name, 10, 1, payload, from)
}

func (n *node) wire(p vrrp.Packet, from string) []byte {
	payload, err := p.Append(nil, netip.MustParseAddr(from), vrrp.Group(kernel.IPv4), vrrp.PseudoHeaderChecksum)
	if err != nil {
		n.t.Fatal(err)
	}
	return payload
}

func (n *node) inject(name string, every, count int, payload []byte, from string) {
	source := netip.MustParseAddr(from)
	group := vrrp.Group(kernel.IPv4)
	tick := 0
	n.mu.Lock()
	defer n.mu.Unlock()
	n.packets[name] = func() {
		s := n.sockets["eth0"]
		if tick++; s == nil || (tick-1)%every != 0 {
			return
		}
		for range count {
			select {
			case s.in <- vrrp.Datagram{Payload: payload, Source: source, Destination: group, TTL: 255}:
			default: // the queue of a socket is full, or nobody reads it
			}
		}
	}
}

func (n *node) silence(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.packets, name)
}

func (m *machine) carrier(on bool) {
	m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = on })
}

// renamed gives an interface another name.
func (n *node) renamed(from, to string) {
	n.change(addr.Event{Kind: addr.Resync}, func() {
		for i := range n.links {
			if n.links[i].Name == from {
				n.links[i].Name = to
			}
		}
	})
}

func (n *node) ownAddress(present bool) {
	own := kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24"), Global: true}
	if present {
		n.change(addr.Event{Kind: addr.AddressAdded, Interface: "eth0", Prefix: own.Prefix}, func() { n.addresses = append(n.addresses, own) })
		return
	}
	n.change(addr.Event{Kind: addr.AddressRemoved, Interface: "eth0", Prefix: own.Prefix}, func() { n.drop("eth0", own.Prefix) })
}

// sending makes the VRRP socket slow, or fail.
func (n *node) sending(took time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sendTime, n.sendError = took*time.Duration(n.slower), err
}

// hang makes writes to the table block until goOn.
func (n *node) hang() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stuck = make(chan struct{})
}

func (n *node) goOn() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stuck != nil {
		close(n.stuck)
		n.stuck = nil
	}
}

// emptied is `ipvsadm -C` by another process.
func (n *node) emptied() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.services = nil
}

func (n *node) sysctl(key, value string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fakeKernel.sysctls[key] = value
}

// stateFile makes the state file impossible to write, or possible again: a directory is in its place.
func (n *node) stateFile(writable bool) {
	path := filepath.Join(n.dir, "state.json")
	if err := os.RemoveAll(path); err != nil {
		n.t.Fatal(err)
	}
	if !writable {
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			n.t.Fatal(err)
		}
	}
}
