// Package systemd boots a real systemd on a host of the lab, with the units that
// a scenario brings along and nothing else that runs. It refuses to know about
// any unit of ours.
package systemd

import "github.com/lvs-director/lvs-director/e2e/lab"

const (
	parentRole = "systemd"      // the parent of a systemd
	treeRole   = "systemd-tree" // its first process, before it becomes systemd
)

// Roles are the processes of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{parentRole: runParent, treeRole: runTree} }
