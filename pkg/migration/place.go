package migration

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// portNames are the names that ldirectord and ipvsadm -S (without -n) take from /etc/services, of those that are balanced.
var portNames = map[string]uint16{
	"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "tftp": 69, "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "nntp": 119,
	"ntp": 123, "imap": 143, "imap2": 143, "snmp": 161, "ldap": 389, "https": 443, "submissions": 465, "syslog": 514, "submission": 587,
	"ldaps": 636, "imaps": 993, "pop3s": 995, "openvpn": 1194, "ms-sql-s": 1433, "oracle": 1521, "radius": 1812, "radius-acct": 1813,
	"mysql": 3306, "ms-wbt-server": 3389, "sip": 5060, "sip-tls": 5061, "postgresql": 5432, "http-alt": 8080, "webcache": 8080,
}

// port reads a port, or one of portNames.
func (r *reader) port(s *conftree.Statement, text string) (uint16, bool) {
	if n, named := portNames[text]; named {
		return n, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		r.judge(s, Refused, "'%s' is no port: write its number", text)
		return 0, false
	}
	return uint16(n), true
}

// addrPort reads ADDRESS:PORT, with brackets around an IPv6 address. Without a port it is the one that is given.
func (r *reader) addrPort(s *conftree.Statement, text string, without uint16) (netip.AddrPort, bool) {
	host, portText := text, ""
	if inner, is := strings.CutPrefix(text, "["); is {
		host, portText, _ = strings.Cut(inner, "]")
		portText = strings.TrimPrefix(portText, ":")
	} else if strings.Count(text, ":") == 1 {
		host, portText, _ = strings.Cut(text, ":")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		r.judge(s, Refused, "'%s' is no address: names are not looked up, so write the address", host)
		return netip.AddrPort{}, false
	}
	port, ok := without, true
	if portText != "" {
		port, ok = r.port(s, portText)
	}
	return netip.AddrPortFrom(addr, port), ok
}
