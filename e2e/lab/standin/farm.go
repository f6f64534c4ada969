package standin

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// The ports of a farm's servers.
const (
	FarmMySQL = 3306 // logs anybody in who gives FarmPassword
	FarmTCP   = 3307 // says hello
)

// FarmPassword is what the servers of a farm want to hear.
const FarmPassword = "farm"

// StartFarm makes every address of a network a server, of one process on the host:
// a MySQL server that is only a protocol, and a TCP server. A director on the
// same LAN reaches the network by a route to the host.
func StartFarm(h *lab.Host, network string) *lab.Daemon {
	h.T().Helper()
	if _, err := netip.ParsePrefix(network); err != nil {
		h.T().Fatalf("lab: farm on %s: %v", h.Name, err)
	}
	// Every address of a local route is this host's own.
	h.Run("ip", "route", "add", "local", network, "dev", "lo")
	return h.StartRole("farm", "farm", farmArguments{MySQL: FarmMySQL, TCP: FarmTCP})
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
