package standin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// StartPackets starts a UDP server on the host that answers each packet with its name in a line. With an address its answers
// come from there; with that of all they come from the address that the route of the answer has, as those of most programs do.
func StartPackets(h *lab.Host, address, name string) *lab.Daemon {
	h.T().Helper()
	listen, err := netip.ParseAddrPort(address)
	if err != nil {
		h.T().Fatalf("lab: UDP server on %s: %q is not an address and port", h.Name, address)
	}
	return h.StartRole("answering-packets", "answering-packets-"+name, answeringArguments{Listen: listen, Name: name})
}

func runAnsweringPackets(encoded []byte) error {
	var arguments answeringArguments
	if err := json.Unmarshal(encoded, &arguments); err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(arguments.Listen))
	if err != nil {
		return fmt.Errorf("listen on %s: %w", arguments.Listen, err)
	}
	defer conn.Close()
	if err := lab.Ready(); err != nil {
		return err
	}
	buffer := make([]byte, 512)
	for {
		_, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return err
		}
		_, _ = conn.WriteToUDPAddrPort([]byte(arguments.Name+"\n"), from)
	}
}
