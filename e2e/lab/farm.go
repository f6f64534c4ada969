package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// The ports of a Farm's servers.
const (
	FarmMySQL = 3306 // logs anybody in who gives FarmPassword
	FarmTCP   = 3307 // says hello
)

// FarmPassword is what the servers of a Farm want to hear.
const FarmPassword = "farm"

// Farm makes every address of a network a server, of one process on the host:
// a MySQL server that is only a protocol, and a TCP server. A director on the
// same LAN reaches the network by a route to the host.
func Farm(h *Host, network string) *Daemon {
	h.n.t.Helper()
	if _, err := netip.ParsePrefix(network); err != nil {
		h.n.t.Fatalf("lab: farm on %s: %v", h.Name, err)
	}
	// Every address of a local route is this host's own.
	h.Run("ip", "route", "add", "local", network, "dev", "lo")
	d := h.startRole("farm", "farm", farmArguments{MySQL: FarmMySQL, TCP: FarmTCP})
	d.WaitLog("^"+readyLine+"$", slowest)
	return d
}

type farmArguments struct{ MySQL, TCP uint16 }

func runFarm(encoded []byte) error {
	var arguments farmArguments
	if err := json.Unmarshal(encoded, &arguments); err != nil {
		return err
	}
	server, err := mysqltest.Listen(fmt.Sprintf("0.0.0.0:%d", arguments.MySQL), mysqltest.Script{Password: FarmPassword})
	if err != nil {
		return err
	}
	defer server.Close()
	answering, err := json.Marshal(answeringArguments{
		Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), arguments.TCP), Name: "farm",
	})
	if err != nil {
		return err
	}
	return runAnswering(answering) // says that it is ready
}
