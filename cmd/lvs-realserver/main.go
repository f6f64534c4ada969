// Command lvs-realserver is the agent on a real server: it maintains the VIP on lo or tunl0 and the sysctls for it.
package main

import (
	"context"
	"os"

	"github.com/lvs-director/lvs-director/cmd/lvs-realserver/program"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

func main() {
	os.Exit(daemon.Execute(context.Background(), program.Command()))
}
