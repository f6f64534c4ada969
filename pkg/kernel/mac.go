package kernel

import "fmt"

// MAC is an Ethernet address; the zero value is none.
type MAC [6]byte

// String returns "00:00:5e:00:01:33".
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
