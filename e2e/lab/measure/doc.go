// Package measure is what a client sees: an open-loop client that makes a
// connection, or a login to MySQL, at every tick and writes down what became of
// it, and connections that are held. It refuses to judge: a scenario asks for
// the longest gap, the failures and their causes, and who answered.
package measure

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles are the clients of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{"measure": runTCP, "measure-mysql": runMySQL} }
