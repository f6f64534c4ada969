package config

// InstanceID identifies a VRRP instance: its name in the cluster file.
type InstanceID string

// TrackID identifies a track: its name in the cluster file.
type TrackID string

// ServerID identifies a real server of a virtual server, by the names of the cluster file. The same machine in two virtual
// servers is two of them.
type ServerID struct{ Service, Server string }

// String returns the names with a slash between them, for people.
func (s ServerID) String() string { return s.Service + "/" + s.Server }

// Subject identifies what has a verdict: a real server or a track. Exactly one of the two is set.
type Subject struct {
	Server ServerID
	Track  TrackID
}

// String names the subject for people: "mysql/mysql1" or "track gateway".
func (s Subject) String() string {
	if s.Track != "" {
		return "track " + string(s.Track)
	}
	return s.Server.String()
}
