package kernel

// The kinds of a VirtualLink.
const (
	Macvlan = "macvlan" // has a hardware address of its own
	IPvlan  = "ipvlan"  // has that of its parent
)

// VirtualLink is an interface on top of another one, which a director adds for the VIPs of an instance.
type VirtualLink struct {
	Name         string `json:"name"`
	Kind         string `json:"kind"`   // Macvlan or IPvlan
	Parent       string `json:"parent"` // the interface below it
	HardwareAddr string `json:"hardware_addr,omitempty"`
	IPv6         bool   `json:"ipv6,omitempty"` // it has addresses of IPv6
}

// Is reports whether an interface of the host is this one, as far as it shows; parent is the interface below it.
func (v VirtualLink) Is(l, parent Link) bool {
	return l.Name == v.Name && l.Kind == v.Kind && (v.HardwareAddr == "" || l.HardwareAddr == v.HardwareAddr) &&
		parent.Name == v.Parent && l.Parent == parent.Index
}
