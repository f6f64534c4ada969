// Package capture captures the packets on the lab's links with tcpdump(8), and sends arbitrary packets, one or a flood.
// It does not interpret packets: a scenario matches tcpdump's text, and provides the payloads.
package capture

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles returns the clients of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{"flood": runFlood} }
