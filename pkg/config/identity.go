package config

import "fmt"

// InstanceID identifies a VRRP instance on this host: its interface, family and virtual router id, as "eth0/IPv4/51". Its
// name is only for display, and may change.
type InstanceID string

// ID returns the identity of an instance that is resolved for its node.
func (i Instance) ID() InstanceID {
	return InstanceID(fmt.Sprintf("%s/%s/%d", i.Interface, i.Family(), i.VRID))
}

// TrackID identifies a track: its name in the cluster file.
type TrackID string

// ServerID identifies a real server of a virtual server by the names in the cluster file. The same host in two virtual
// servers has two ServerIDs.
type ServerID struct{ Service, Server string }

// String returns the two names separated by a slash, for display.
func (s ServerID) String() string { return s.Service + "/" + s.Server }

// Subject identifies what a verdict is about: a real server or a track. Exactly one of the two is set.
type Subject struct {
	Server ServerID
	Track  TrackID
}

// String returns the subject's name for display: "mysql/mysql1" or "track gateway".
func (s Subject) String() string {
	if s.Track != "" {
		return "track " + string(s.Track)
	}
	return s.Server.String()
}
