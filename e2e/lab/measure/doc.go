// Package measure measures what clients see. An open-loop client makes a connection, or a login to MySQL, at every tick
// and records the outcome; other connections are held open. The package does not judge: a scenario asks for the longest
// gap, the failures and their causes, and which servers answered.
package measure

import "github.com/lvs-director/lvs-director/e2e/lab"

// Roles returns the clients of this package, for lab.Main.
func Roles() lab.Roles { return lab.Roles{"measure": runTCP, "measure-mysql": runMySQL} }
