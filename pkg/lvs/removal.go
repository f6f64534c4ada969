package lvs

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Removal is what a newer cluster file takes out of the table. A real server that has another name but the same virtual
// server, address and port stays, also if that is one of several services only.
type Removal struct {
	Gone []config.ServerID // in the order of the older file, with its names
	Of   int               // the real servers of the older file; one of two virtual servers counts twice
}

// Removed compares the virtual servers of two files.
func Removed(before, after []config.VirtualServer) Removal {
	type entry struct {
		key    Key
		server netip.AddrPort
	}
	stays := map[entry]bool{}
	for _, v := range after {
		for one := range v.Services() {
			for _, r := range one.RealServers {
				stays[entry{KeyOf(one), netip.AddrPortFrom(r.Address, r.Port)}] = true
			}
		}
	}
	var removal Removal
	for _, v := range before {
		removal.Of += len(v.RealServers)
		kept := make([]bool, len(v.RealServers))
		for one := range v.Services() {
			for i, r := range one.RealServers {
				kept[i] = kept[i] || stays[entry{KeyOf(one), netip.AddrPortFrom(r.Address, r.Port)}]
			}
		}
		for i, r := range v.RealServers {
			if !kept[i] {
				removal.Gone = append(removal.Gone, config.ServerID{Service: v.Name, Server: r.Name})
			}
		}
	}
	return removal
}

// fewest is how many real servers have to go at least for a removal to count as large.
const fewest = 3

// Large reports whether so much goes that the file may be a mistake: more than half of all real servers, and at least
// three.
func (r Removal) Large() bool { return len(r.Gone) >= fewest && 2*len(r.Gone) > r.Of }

// listed is how many names a text has at most.
const listed = 20

// String is "3 of 4 real servers: mysql/mysql1, mysql/mysql2, mysql/mysql3", with at most twenty names.
func (r Removal) String() string {
	names := make([]string, 0, listed)
	for _, id := range r.Gone[:min(len(r.Gone), listed)] {
		names = append(names, id.String())
	}
	text := fmt.Sprintf("%d of %d real servers: %s", len(r.Gone), r.Of, strings.Join(names, ", "))
	if more := len(r.Gone) - listed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
