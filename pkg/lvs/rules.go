package lvs

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Rules returns the table as `ipvsadm -Sn` prints it (and `ipvsadm -R` reads it), in the given order: without thresholds.
func Rules(services []Service) string {
	var b strings.Builder
	for _, service := range services {
		fmt.Fprintf(&b, "-A %s%s\n", service.Key.rule(), service.rule())
		for _, server := range service.Servers {
			fmt.Fprintf(&b, "-a %s -r %s%s", service.Key.rule(), server.AddrPort(), server.rule())
			if server.Forward == config.TUN && server.Tunnel == (config.Tunnel{}) {
				b.WriteString(" --tun-type ipip") // as printed by ipvsadm 1.31; it is the default
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// rule returns the service as ipvsadm arguments.
func (k Key) rule() string {
	address := netip.AddrPortFrom(k.Address, k.Port).String()
	switch k.Protocol {
	case "tcp":
		return "-t " + address
	case "udp":
		return "-u " + address
	case FirewallMark:
		if k.Family() == kernel.IPv6 {
			return fmt.Sprintf("-f %d -6", k.Mark)
		}
		return fmt.Sprintf("-f %d", k.Mark)
	default:
		return "--" + k.Protocol + "-service " + address
	}
}

func (s Service) rule() string {
	rule := " -s " + s.Scheduler + s.persistence() + s.Flags.rule(s.Scheduler)
	if s.OnePacket {
		rule += " -o"
	}
	return rule
}

func (s Service) persistence() string {
	if s.Persistence == 0 {
		return ""
	}
	rule := fmt.Sprintf(" -p %d", s.Persistence/time.Second)
	switch mask := s.mask(); {
	case mask == s.Address.BitLen():
	case s.Family() == kernel.IPv4:
		rule += " -M " + dotted(mask)
	default:
		rule += fmt.Sprintf(" -M %d", mask)
	}
	if s.Engine != "" {
		rule += " --pe " + s.Engine
	}
	return rule
}

func (s Server) rule() string {
	forward := map[config.Forward]string{config.DR: " -g", config.NAT: " -m", config.TUN: " -i"}[s.Forward]
	return fmt.Sprintf("%s -w %d%s", forward, s.Weight, tunnelRule(s.Tunnel))
}

// tunnelRule returns a tunnel as arguments of ipvsadm; "" for the default.
func tunnelRule(t config.Tunnel) string {
	if t == (config.Tunnel{}) {
		return ""
	}
	rule := " --tun-type " + t.Type
	if t.Type == config.GUE {
		rule += fmt.Sprintf(" --tun-port %d", t.Port)
	}
	return rule + map[string]string{config.NoChecksum: " --tun-nocsum", config.FullChecksum: " --tun-csum", config.RemoteChecksum: " --tun-remcsum"}[t.Checksum]
}

// thresholds returns the limits of connections as arguments of ipvsadm, which does not print them with -S.
func (s Server) thresholds() string {
	if s.Upper == 0 && s.Lower == 0 {
		return ""
	}
	return fmt.Sprintf(" -x %d -y %d", s.Upper, s.Lower)
}

// dotted returns an IPv4 prefix length as a mask, the only form that ipvsadm accepts.
func dotted(bits int) string {
	ones, err := netip.MustParseAddr("255.255.255.255").Prefix(bits)
	if err != nil {
		return fmt.Sprintf("/%d", bits)
	}
	return ones.Addr().String()
}
