package migration

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// Kind is the program that a file is for.
type Kind uint8

// The kinds of files.
const (
	Keepalived Kind = iota // keepalived.conf
	Ldirectord             // ldirectord.cf
	IPVSAdm                // the output of ipvsadm -Sn
)

// kinds are the names, by kind.
var kinds = []string{"keepalived", "ldirectord", "ipvsadm"}

// Kinds returns the names of the kinds, which are those of the programs.
func Kinds() []string { return slices.Clone(kinds) }

// String returns the name of the program.
func (k Kind) String() string { return kinds[k] }

// ParseKind returns the kind with this name.
func ParseKind(name string) (Kind, error) {
	i := slices.Index(kinds, name)
	if i < 0 {
		return 0, fmt.Errorf("'%s' is no kind of file: %s", name, strings.Join(kinds, ", "))
	}
	return Kind(i), nil
}

// stranger says what the program does with a word that it does not know.
func (k Kind) stranger() string {
	switch k {
	case Ldirectord:
		return "ldirectord does not know the word here, and does not start"
	case IPVSAdm:
		return "ipvsadm does not know the option here, and refuses the line"
	}
	return "keepalived does not know the word here, and ignores it"
}

// signs are lines that are in files of a kind only.
var signs = []*regexp.Regexp{
	Keepalived: regexp.MustCompile(`^\s*(global_defs|vrrp_\w+|virtual_server(_group)?|static_\w+|bfd_instance|track_(process|file|group)|include\w?\s|interface_up_down_delays|net_namespace|garp_group|linkbeat_\w+)\b|^\s*(real_server|virtual_ipaddress|authentication|notify\w*)\b|^@\^?\S+\s|^\$\w+\s*=`),
	Ldirectord: regexp.MustCompile(`^\s*(virtual6?|real6?|checktype|(check|negotiate)timeout|checkinterval|checkcount|failurecount|quiescent|readdquiescent|autoreload|logfile|fallback6?|fallbackcommand|emailalert\w*|cleanstop|maintenancedir|supervised|fork|callback)\s*=`),
	IPVSAdm:    regexp.MustCompile(`^\s*(sudo\s+)?((/usr)?(/sbin/)?ipvsadm\s+)?(-[Aa]|--add-serv(ice|er))\s|^\s*(sudo\s+)?((/usr)?/sbin/)?ipvsadm\s|^IP Virtual Server version|^Prot LocalAddress:Port`),
}

// KindOf finds out from the content of a file what program it is for.
func KindOf(data []byte) (Kind, error) {
	var found []string
	lines := make([]int, len(signs))
	for line := range bytes.Lines(data[:min(len(data), conftree.MaxBytes)]) {
		line = bytes.TrimRight(bytes.TrimPrefix(line, []byte("\ufeff")), "\r\n")
		for kind, sign := range signs {
			if sign.Match(line) {
				lines[kind]++
			}
		}
	}
	kind := Keepalived
	for k, n := range lines {
		if n > 0 {
			kind = Kind(k)
			found = append(found, fmt.Sprintf("%s (%d lines)", kind, n))
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("no line of it is one of %s", strings.Join(kinds, ", "))
	case 1:
		return kind, nil
	}
	return 0, fmt.Errorf("it has lines of %s", strings.Join(found, " and "))
}
