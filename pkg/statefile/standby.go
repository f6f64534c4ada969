package statefile

import (
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// onStandby are the standby servers of pools that keep the connections when the primary servers are up. Like overrides they do not
// describe the kernel, and are kept in another boot. nil: none were noted yet. They are written as
// {"protocol": "tcp", "address": "10.77.0.100", "port": 3306, "server": "10.77.0.12:3306"}.
type onStandby []lvs.OnStandby

type standbyServer struct {
	service
	Server netip.AddrPort `json:"server"`
}

// MarshalJSON implements json.Marshaler.
func (all onStandby) MarshalJSON() ([]byte, error) {
	written := make([]standbyServer, len(all))
	for i, one := range all {
		k := one.Service
		written[i] = standbyServer{service{k.Protocol, k.Address.String(), k.Port, k.Mark}, one.Server}
	}
	return json.Marshal(written)
}

// UnmarshalJSON implements json.Unmarshaler. An invalid entry is skipped.
func (all *onStandby) UnmarshalJSON(data []byte) error {
	var written lenient[standbyServer]
	if err := json.Unmarshal(data, &written); err != nil {
		return err
	}
	*all = nil
	for _, s := range written {
		if address, err := netip.ParseAddr(s.Address); err == nil && s.Server.IsValid() {
			*all = append(*all, lvs.OnStandby{Service: lvs.Key{Protocol: s.Protocol, Address: address, Port: s.Port, Mark: s.Mark}, Server: s.Server})
		}
	}
	return nil
}

// OnStandby returns the standby servers that were noted, sorted.
func (l *File) OnStandby() []lvs.OnStandby {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.content.OnStandby)
}

// NoteOnStandby replaces them in memory and does not wait for the disk: the next change or Keep saves them.
func (l *File) NoteOnStandby(all []lvs.OnStandby) {
	l.mu.Lock()
	defer l.mu.Unlock()
	noted := append(onStandby{}, all...) // not nil
	slices.SortFunc(noted, lvs.OnStandby.Compare)
	if !slices.Equal(l.content.OnStandby, noted) {
		l.changes++
	}
	l.content.OnStandby = noted
}

// addOnStandby replaces those of a file that was read by those that were noted before it could be, and reports whether that changed
// anything.
func (b *content) addOnStandby(noted onStandby) bool {
	return noted != nil && replace(&b.OnStandby, noted, lvs.OnStandby.Compare)
}
