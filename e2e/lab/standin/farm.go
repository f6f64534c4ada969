package standin

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// The ports of the servers of a farm.
const (
	FarmMySQL = 3306 // accepts any login with FarmPassword
	FarmTCP   = 3307 // sends its name
)

// FarmPassword is the password of the MySQL servers of a farm.
const FarmPassword = "farm"

// StartFarm starts one process on the host that serves every address of a network: a MySQL server that only implements
// the login, and a TCP server. A director on the same LAN needs a route to the network via the host.
func StartFarm(h *lab.Host, network string) *lab.Daemon {
	h.T().Helper()
	if _, err := netip.ParsePrefix(network); err != nil {
		h.T().Fatalf("lab: farm on %s: %v", h.Name, err)
	}
	// A local route makes every address of the network local to this host.
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
	return runAnswering(answering) // calls lab.Ready
}
