// Package systemd boots a real systemd on a host of the lab, with the scenario's units and otherwise only the journal.
// It does not know any unit of the product.
package systemd

import "github.com/lvs-director/lvs-director/e2e/lab"

const (
	parentRole = "systemd"      // the parent process of a systemd
	treeRole   = "systemd-tree" // process 1, before it becomes systemd
)

// Roles returns the processes of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{parentRole: runParent, treeRole: runTree} }
