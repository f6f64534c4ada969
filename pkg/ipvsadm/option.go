package ipvsadm

// argument tells whether an option has one.
type argument uint8

const (
	none     argument = iota
	optional          // the next word, unless it begins with -
	required
)

// option is an option of ipvsadm 1.31.
type option struct {
	long     string
	short    byte // 0: none
	argument argument
	command  bool
}

var options = []option{
	{"add-service", 'A', none, true},
	{"edit-service", 'E', none, true},
	{"delete-service", 'D', none, true},
	{"clear", 'C', none, true},
	{"list", 'L', none, true},
	{"list", 'l', none, true},
	{"zero", 'Z', none, true},
	{"add-server", 'a', none, true},
	{"edit-server", 'e', none, true},
	{"delete-server", 'd', none, true},
	{"set", 0, none, true},
	{"restore", 'R', none, true},
	{"save", 'S', none, true},
	{"start-daemon", 0, required, true},
	{"stop-daemon", 0, required, true},
	{"help", 'h', none, true},
	{"version", 'v', none, true},

	{"tcp-service", 't', required, false},
	{"udp-service", 'u', required, false},
	{"sctp-service", 0, required, false},
	{"fwmark-service", 'f', required, false},
	{"ipv6", '6', none, false},
	{"scheduler", 's', required, false},
	{"sched-flags", 'b', required, false},
	{"pe", 0, required, false},
	{"persistent", 'p', optional, false},
	{"netmask", 'M', required, false},
	{"ops", 'o', none, false},
	{"real-server", 'r', required, false},
	{"gatewaying", 'g', none, false},
	{"ipip", 'i', none, false},
	{"masquerading", 'm', none, false},
	{"tun-type", 0, required, false},
	{"tun-port", 0, required, false},
	{"tun-nocsum", 0, none, false},
	{"tun-csum", 0, none, false},
	{"tun-remcsum", 0, none, false},
	{"weight", 'w', required, false},
	{"u-threshold", 'x', required, false},
	{"l-threshold", 'y', required, false},
	{"mcast-interface", 0, required, false},
	{"syncid", 0, required, false},
	{"sync-maxlen", 0, required, false},
	{"mcast-group", 0, required, false},
	{"mcast-port", 0, required, false},
	{"mcast-ttl", 0, required, false},
	{"numeric", 'n', none, false},
}

// longOption returns the option with this name; one that is not known has no argument.
func longOption(name string) option {
	for _, o := range options {
		if o.long == name {
			return o
		}
	}
	return option{long: name}
}

// shortOption returns the option of this letter; one that is not known has no argument, and "-" and the letter as its name.
func shortOption(letter byte) option {
	for _, o := range options {
		if o.short == letter {
			return o
		}
	}
	return option{long: "-" + string(rune(letter)), short: letter}
}
