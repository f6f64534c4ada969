package lvs

import "strings"

// Flags are the flags of a scheduler, which its kernel module defines.
type Flags uint8

// The flags, IP_VS_SVC_F_SCHED1 to 3. With sh and mh the first one is fallback: a client whose real server takes no connections
// gets another one; the second one is port: the client's port counts, too.
const (
	Flag1 Flags = 1 << iota
	Flag2
	Flag3
)

// Names returns the flags in ipvsadm's words for a scheduler.
func (f Flags) Names(scheduler string) []string {
	var names []string
	for n, name := range [...]string{"fallback", "port", ""} {
		switch {
		case f&(1<<n) == 0:
		case (scheduler == "sh" || scheduler == "mh") && name != "":
			names = append(names, scheduler+"-"+name)
		default:
			names = append(names, "flag-"+string(rune('1'+n)))
		}
	}
	return names
}

// rule returns the flags as arguments of ipvsadm.
func (f Flags) rule(scheduler string) string {
	if f == 0 {
		return ""
	}
	return " -b " + strings.Join(f.Names(scheduler), ",")
}
