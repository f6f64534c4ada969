// Command lvsctl is the operator's tool.
package main

import (
	"context"
	"os"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/ctl"
)

func main() {
	command.Main()
	os.Exit(ctl.Main(context.Background(), ctl.Command(), os.Args[1:]))
}
