// Package standin starts light servers on the lab's hosts in place of real ones:
// one that says its name, and a farm of a thousand addresses. For what depends
// on how MySQL behaves there is package mariadb; this one refuses to be more
// of a MySQL server than a login.
package standin

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles are the servers of this package, for lab.Main.
func Roles() lab.Roles {
	return lab.Roles{"answering": runAnswering, "farm": runFarm}
}
