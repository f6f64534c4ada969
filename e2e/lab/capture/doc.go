// Package capture looks at the packets on the lab's links, with tcpdump(8), and
// puts packets of any kind on them, one or a flood. It refuses to know what is
// in a packet: a scenario matches tcpdump's words, and brings payloads along.
package capture

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles are the clients of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{"flood": runFlood} }
