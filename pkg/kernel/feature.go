package kernel

import "slices"

// Presence says whether the kernel has a feature.
type Presence string

// The values of Presence.
const (
	Present Presence = "present"
	Absent  Presence = "absent"
	Unknown Presence = "unknown" // nothing tells it
)

// Feature is a feature of the kernel that some configurations need.
type Feature struct {
	Name string // stable
	Has  Presence
	Why  string // what tells it; of some features also values
}

// The names of features that cluster files need.
const (
	FeatureIPVS6   = "ipvs_ipv6"
	FeatureSCTP    = "ipvs_sctp"
	FeatureTunnels = "ipvs_tunnel_types" // gre and gue
	FeatureTracked = "ipvs_conntrack"    // connections of IPVS are tracked
)

// Features are the features of one kernel.
type Features struct {
	Release string // as uname -r prints it
	All     []Feature
	// Incomplete: a question has failed, so that more features are Unknown than need be.
	Incomplete bool
}

// Find returns a feature; Unknown for one that is not listed.
func (f Features) Find(name string) Feature {
	if i := slices.IndexFunc(f.All, func(one Feature) bool { return one.Name == name }); i >= 0 {
		return f.All[i]
	}
	return Feature{Name: name, Has: Unknown}
}
