// Package standin starts lightweight servers on the lab's hosts in place of real ones: one that sends its name, and a
// farm of a thousand addresses. Of MySQL it supports only the login; use package mariadb for what depends on the
// behaviour of MySQL.
package standin

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles returns the servers of this package, for lab.Main.
func Roles() lab.Roles {
	return lab.Roles{"answering": runAnswering, "answering-packets": runAnsweringPackets, "farm": runFarm}
}
