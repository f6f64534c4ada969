package guest

// spec describes the command and its environment; the host sends it to the guest's first process.
type spec struct {
	Command  []string // program and arguments; the program is looked up in the guest's PATH
	Dir      string   // working directory, absolute
	Env      []string // KEY=VALUE, the whole environment of the command
	Tree     string   // directory of the unpacked packages, absolute host path
	Out      string   // host directory mounted at OutDir, "" = none
	Writable []string // host directories mounted writable at their own paths
	Stock    bool     // the kernel is Options.Stock
	Resident []string // files that a Stock guest holds in memory
	Terminal bool     // give the command a terminal
	Rows     uint16   // of the terminal
	Columns  uint16   // of the terminal
}

// OutDir is where Options.Out is mounted in the guest.
const OutDir = "/mnt/out"

// initMarker is an environment variable, set on the kernel command line, that tells a program that it is the first
// process of a guest.
const initMarker = "LVS_LAB_INIT"

// lineMarker is set there, too: the device for the connection to the host.
const lineMarker = "LVS_LAB_LINE"
