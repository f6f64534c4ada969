package neigh

import (
	"bytes"
	"os"
)

// forwards reports whether this host forwards IPv6 packets that it receives on an interface. The kernel sets the router
// flag of its own advertisements by the same setting (ndisc_recv_ns in net/ipv6/ndisc.c): one that differed would make
// neighbours with this host as their default router remove it (RFC 4861, section 7.2.5).
func forwards(iface string) bool {
	setting, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + iface + "/forwarding")
	return err == nil && !bytes.HasPrefix(setting, []byte("0"))
}
