package plan

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Session is the desired state of a BFD session.
type Session struct {
	SessionID
	Name    string // of the session or of the director
	Source  netip.Addr
	BFD     config.BFD
	Passive bool
	// Tracks are its names by which instances track it, none if none does; during a reload that of the old file, too.
	Tracks []config.TrackID
	// Peers are the instances with the director at this address as a peer: if it is their MASTER and is lost, they take
	// over.
	Peers []config.InstanceID
	// Users are the names of the instances that depend on the session, for display.
	Users []string
}

// SessionID identifies a session: there is one with each neighbour on a link (RFC 5881 section 2).
type SessionID struct {
	On        vrrp.Segment
	Neighbour netip.Addr
}

func (s Session) equal(b Session) bool {
	return s.SessionID == b.SessionID && s.Name == b.Name && s.Source == b.Source && s.BFD == b.BFD && s.Passive == b.Passive &&
		slices.Equal(s.Tracks, b.Tracks) && slices.Equal(s.Peers, b.Peers) && slices.Equal(s.Users, b.Users)
}

// sessions returns the sessions of this node in the order of the newest file; during a reload those of the old one, too.
// Those with peers come from the source of the instance's adverts, because the peers expect them from there.
func (in Inputs) sessions(node config.Director, vip func(netip.Addr) bool, instances []Instance) []Session {
	var all []Session
	at := func(id SessionID) *Session {
		n := slices.IndexFunc(all, func(s Session) bool { return s.SessionID == id })
		if n < 0 {
			n, all = len(all), append(all, Session{SessionID: id, Source: in.sessionSource(id, node, vip)})
		}
		return &all[n]
	}
	for _, cfg := range slices.Backward(in.files()) {
		for _, b := range cfg.BFDSessions {
			users := usersOf(cfg, b.Name)
			if len(users) == 0 {
				continue
			}
			s := at(SessionID{vrrp.Segment{Interface: b.Interface, Family: kernel.FamilyOf(b.Address)}, b.Address})
			if s.Name == "" {
				s.Name, s.BFD, s.Passive, s.Users = b.Name, b.BFD, b.Passive, users
			}
			if id := config.TrackID(b.Name); !slices.Contains(s.Tracks, id) {
				s.Tracks = append(s.Tracks, id)
			}
		}
		for _, i := range cfg.Instances {
			if i.PeerBFD == nil {
				continue
			}
			for _, neighbour := range i.PeerBFD.Addresses {
				if in.has(neighbour) {
					continue // this host's own
				}
				s := at(SessionID{segmentOf(i), neighbour})
				if s.Name == "" {
					s.Name, s.BFD = nameOf(cfg, neighbour), i.PeerBFD.BFD
				}
				if n := slices.IndexFunc(instances, func(run Instance) bool { return run.ID == i.ID() }); n >= 0 {
					s.Source = instances[n].Params.Source
				}
				if !slices.Contains(s.Peers, i.ID()) {
					s.Peers, s.Users = append(s.Peers, i.ID()), append(s.Users, i.Name)
				}
			}
		}
	}
	return all
}

// sessionSource returns the address from which a session sends: over IPv6 to a global address a global one, if the interface
// has any of its own, because that is what the neighbour expects; one of the neighbour's network before others.
func (in Inputs) sessionSource(id SessionID, node config.Director, vip func(netip.Addr) bool) netip.Addr {
	found := source(id.On, in.Addresses, node, vip)
	if id.On.Family != kernel.IPv6 || id.Neighbour.IsLinkLocalUnicast() {
		return found
	}
	for _, a := range in.Addresses {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != id.On.Interface || kernel.FamilyOf(ip) != kernel.IPv6 || !a.Usable() || !a.Global || vip(ip):
		case a.Prefix.Contains(id.Neighbour):
			return ip
		case found.IsLinkLocalUnicast():
			found = ip
		}
	}
	return found
}

// usersOf returns the names of the instances that depend on a track.
func usersOf(cfg *config.Config, track string) []string {
	var names []string
	for _, i := range cfg.Instances {
		if slices.ContainsFunc(usesOf(i), func(u config.TrackUse) bool { return u.Name == track }) {
			names = append(names, i.Name)
		}
	}
	return names
}

// nameOf returns the name of the director with an address, or the address if the file knows it only as a source of
// adverts.
func nameOf(cfg *config.Config, address netip.Addr) string {
	for _, d := range cfg.Directors {
		if d.Address == address {
			return d.Name
		}
	}
	return address.String()
}
