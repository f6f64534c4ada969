package mysqltest

import "time"

// Stage is a stage of the connection at which a Script can inject a fault.
type Stage uint8

// The stages of a connection, in their order.
const (
	AtGreeting Stage = iota // instead of the greeting
	AtLogin                 // instead of the answer to the login
	AtQuery                 // instead of the answer to a query
	AtPing                  // instead of the answer to COM_PING
)

// Plugin is how the account proves its password.
type Plugin string

// The plugins that the server knows.
const (
	Native    Plugin = "mysql_native_password"
	SHA2      Plugin = "caching_sha2_password" // with the password in the server's cache
	SHA2Full  Plugin = "caching_sha2_full"     // the same without: the password comes encrypted with the server's RSA key
	Foreign   Plugin = "auth_nobody_has_it"    // a plugin that no client supports
	NoPlugins Plugin = "none"                  // a server before 5.5.7, without CLIENT_PLUGIN_AUTH
)

// Fault replaces the answer of a stage. The zero value is no fault.
type Fault struct {
	Delay   time.Duration // before whatever follows, which may be the answer itself
	Number  uint16        // an ERR packet with this number and Message, then the end
	Message string
	Raw     []byte // these bytes, then the end
	Silent  bool   // nothing at all, until the client closes: a process stopped by SIGSTOP
	HangUp  bool   // FIN
	Reset   bool   // RST
}

func (f Fault) answers() bool {
	return f.Number == 0 && f.Raw == nil && !f.Silent && !f.HangUp && !f.Reset
}

// Script is the behaviour of a Server. The zero value accepts any user with an empty password.
type Script struct {
	User     string // "": any
	Password string
	Plugin   Plugin // "": Native
	Faults   map[Stage]Fault
}

// With returns a copy of the script with a fault at a stage.
func (s Script) With(at Stage, f Fault) Script {
	faults := map[Stage]Fault{at: f}
	for k, v := range s.Faults {
		if k != at {
			faults[k] = v
		}
	}
	s.Faults = faults
	return s
}

// Counters are the counters of a MySQL server, under their names there.
type Counters struct {
	Connections     int // accepted
	Queries         int // answered
	Pings           int // COM_PING answered
	Quits           int // COM_QUIT received
	AbortedConnects int // ended before a successful login
	AbortedClients  int // ended after it, without COM_QUIT
	// Programs counts logins by the connection attribute program_name.
	Programs map[string]int
}
