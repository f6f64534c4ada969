// Command lvs-director is the director daemon: VRRP election, VIPs, the IPVS table and health checks.
package main

import (
	"context"
	"os"

	"github.com/lvs-director/lvs-director/cmd/lvs-director/program"
	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

func main() {
	command.Main()
	os.Exit(daemon.Execute(context.Background(), program.Command()))
}
