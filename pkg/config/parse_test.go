package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

type (
	netipAddr   = netip.Addr
	netipPort   = netip.AddrPort
	netipPrefix = netip.Prefix
)

func sameText[T fmt.Stringer](a, b T) bool { return a.String() == b.String() }

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkConfig asserts the guarantees of Config: all defaults are filled in and all references resolve.
func checkConfig(t interface{ Errorf(string, ...any) }, c *config.Config) {
	tracks := map[string]bool{}
	for _, track := range c.Tracks {
		tracks[track.Name] = true
		served := track.Type() == config.TCP || track.Type() == config.MySQL
		if track.Name == "" || track.Type() == "" || served && (!isHost(track.Address) || track.Check.Port == 0) || (track.Check.Kind == nil) == (track.Watch == nil) {
			t.Errorf("track %+v", track)
		}
		if track.Check.Kind != nil {
			checkCheck(t, track.Check)
		}
	}
	for _, b := range c.BFDSessions {
		if tracks[b.Name] || b.Name == "" || b.Interface == "" || !b.Address.IsValid() || b.Interval < 10*time.Millisecond || b.Multiplier < 2 {
			t.Errorf("BFD session %+v", b)
		}
		tracks[b.Name] = true
	}
	directors := map[string]bool{}
	for _, d := range c.Directors {
		if d.Name == "" || !isHost(d.Address) || directors[d.Name] {
			t.Errorf("director %+v", d)
		}
		directors[d.Name] = true
	}
	if len(directors) == 0 || len(c.Instances)+len(c.VirtualServers) == 0 {
		t.Errorf("nothing to do: %+v", c)
	}
	for _, in := range c.Instances {
		for name := range in.PerNode {
			if !directors[name] {
				t.Errorf("instance %s: per_node of %s, no director", in.Name, name)
			}
		}
	}
	for name := range directors {
		for _, in := range c.ForNode(name).Instances {
			checkInstance(t, in, tracks)
		}
	}
	for _, s := range c.VirtualServers {
		checkService(t, s)
	}
}

func isHost(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a.Zone() == "" && !a.Is4In6()
}

func checkInstance(t interface{ Errorf(string, ...any) }, in config.Instance, tracks map[string]bool) {
	if in.Name == "" || in.Interface == "" || in.VRID == 0 || in.Priority == 0 || in.PerNode != nil {
		t.Errorf("instance %+v", in)
	}
	skewUnit := time.Second
	switch in.ProtocolVersion {
	case 2:
		if in.AdvertInterval%time.Second != 0 || in.AdvertInterval < time.Second || in.AdvertInterval > 255*time.Second {
			t.Errorf("instance %s: advert interval %v", in.Name, in.AdvertInterval)
		}
	case 3:
		skewUnit = in.AdvertInterval
		if in.AdvertInterval%(10*time.Millisecond) != 0 || in.AdvertInterval <= 0 || in.AdvertInterval > 40950*time.Millisecond {
			t.Errorf("instance %s: advert interval %v", in.Name, in.AdvertInterval)
		}
	default:
		t.Errorf("instance %s: version %d", in.Name, in.ProtocolVersion)
	}
	patience := time.Duration(in.Variants.DownTimerAdverts)*in.AdvertInterval + time.Duration(256-int(in.Priority))*skewUnit/256
	if in.Lease <= patience || in.Lease%time.Second != 0 || in.Lease < 3*time.Second {
		t.Errorf("instance %s: lease %v with patience %v", in.Name, in.Lease, patience)
	}
	for _, p := range in.VirtualAddresses {
		if !isHost(p.Addr()) || !p.IsSingleIP() || kernel.FamilyOf(p.Addr()) != in.Family() || p.Addr().Is6() && in.ProtocolVersion != 3 {
			t.Errorf("instance %s: virtual address %v", in.Name, p)
		}
	}
	for _, use := range in.Tracks {
		if !tracks[use.Name] {
			t.Errorf("instance %s: no track %s", in.Name, use.Name)
		}
	}
	if !in.Preempt && in.Priority == 255 {
		t.Errorf("instance %s: owner without preemption", in.Name)
	}
}

func checkService(t interface{ Errorf(string, ...any) }, s config.VirtualServer) {
	if s.Name == "" || s.Mark == 0 && (!isHost(s.Address) || s.Port == 0 && s.Persistence == nil) || !slices.Contains([]string{"tcp", "udp", "sctp"}, s.Protocol) || s.OnePacket && s.Protocol != "udp" || s.Scheduler == "" || len(s.RealServers) == 0 {
		t.Errorf("virtual server %+v", s)
	}
	if p := s.Persistence; p != nil && (p.Timeout < time.Second || p.Timeout%time.Second != 0 || p.Netmask < 1 || p.Netmask > 128) {
		t.Errorf("persistence %+v", p)
	}
	checkServices(t, s)
	names := map[string]bool{}
	for _, rs := range s.RealServers {
		if names[rs.Name] || !isHost(rs.Address) || kernel.FamilyOf(rs.Address) != s.Family() && s.Forward != config.TUN || rs.Address == s.Address || rs.Weight < 0 || rs.Weight > 65535 {
			t.Errorf("real server %+v", rs)
		}
		names[rs.Name] = true
		if rs.Tunnel != (config.Tunnel{}) && rs.Forward != config.TUN || rs.Tunnel.Type == config.GUE && rs.Tunnel.Port == 0 {
			t.Errorf("tunnel: %+v", rs)
		}
		for _, check := range rs.Checks {
			checkCheck(t, check)
		}
	}
}

// checkServices requires that each service has an address of its own, that its real servers have the port that clients connect to
// unless NAT changes it, and that every check has a port.
func checkServices(t interface{ Errorf(string, ...any) }, s config.VirtualServer) {
	seen := map[netip.AddrPort]bool{}
	for one := range s.Services() {
		at := netip.AddrPortFrom(one.Address, one.Port)
		if seen[at] || one.Several() || one.Port == 0 && s.Several() {
			t.Errorf("service %s of %+v", at, s)
		}
		seen[at] = true
		for i, rs := range one.RealServers {
			if s.Mark == 0 && rs.Port != one.Port && (rs.Forward != config.NAT || one.Port == 0 || rs.Port == 0) {
				t.Errorf("%s has the port %d on %s", at, rs.Port, rs.Name)
			}
			for _, c := range rs.Checks {
				if c.Port == 0 && s.CheckPort(s.RealServers[i]) == 0 {
					t.Errorf("no port for the checks of %s", rs.Name)
				}
			}
		}
	}
	if len(seen) != max(len(s.Addresses), 1)*max(len(s.Ports), 1) {
		t.Errorf("%d services of %+v", len(seen), s)
	}
}

func checkCheck(t interface{ Errorf(string, ...any) }, c config.Check) {
	if !wellFormed(c.Kind) ||
		c.Interval < 100*time.Millisecond || c.Timeout <= 0 || c.Timeout > c.Interval ||
		c.Fall < 1 || c.Fall > 100 || c.Rise < 1 || c.Rise > 100 {
		t.Errorf("check %+v", c)
	}
}

// A mistake anywhere in a good file is reported at an existing line or yields a consistent Config.
func TestDamagedFiles(t *testing.T) {
	lines := strings.Split(string(readFile(t, "testdata/good/full.yaml")), "\n")
	inserts := []string{"\t", "\u00a0", "–", "：", "\"", "{", "]", "&a ", "*a", "- ", ": ", "# ", "!!int ", "<<: ", "? ", "|\n", "---\n", "\x00", "\u2028", "é", "0x1"}
	rapid.Check(t, func(t *rapid.T) {
		damaged := append([]string(nil), lines...)
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			i := rapid.IntRange(0, len(damaged)-1).Draw(t, "line")
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				damaged = append(damaged[:i:i], damaged[i+1:]...)
			case 1:
				damaged = append(damaged[:i+1:i+1], damaged[i:]...)
			default:
				runes := []rune(damaged[i])
				at := rapid.IntRange(0, len(runes)).Draw(t, "column")
				damaged[i] = string(runes[:at]) + rapid.SampledFrom(inserts).Draw(t, "text") + string(runes[at:])
			}
		}
		data := []byte(strings.Join(damaged, "\n"))
		c, problems := config.Parse("f", data)
		checkPositions(t, data, problems)
		if (c == nil) != problems.Failed() {
			t.Errorf("config %v with problems:\n%s", c, problems)
		}
		if c != nil {
			checkConfig(t, c)
		}
	})
}

// Input beyond the limits of size, number and depth is rejected quickly.
func TestBombs(t *testing.T) {
	bombs := map[string]string{
		"too large":      "version: 1\n#" + strings.Repeat("x", 2<<20),
		"deep flow":      strings.Repeat("[", 1<<20),
		"deep mapping":   strings.Repeat("{a: ", 1<<18),
		"deep block":     deepBlock(3000),
		"many keys":      "version: 1\n" + numbered(30_000, "k%d: 1\n"),
		"many directors": "version: 1\ndirectors:\n" + strings.Repeat("- {nmae: 1}\n", 30_000),
		"many names":     "version: 1\ndirectors:\n" + numbered(20_000, "- {name: d%d}\n"),
		"open quote":     "version: \"" + strings.Repeat("x\n", 1<<19),
		"many anchors":   "version: 1\ndirectors: [" + numbered(50_000, "&a%d x,") + "]\n",
		"too many values": "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers:\n" +
			"- {name: s0, address: 10.1.0.0, port: 1, scheduler: rr, forward: nat, real_servers: &rs [" +
			numbered(400, "{name: r%[1]d, address: 10.0.0.1, port: 1%03[1]d, checks: &c [{type: tcp}, {type: tcp}]},") + "]}\n" +
			numbered(3000, "- {name: t%[1]d, address: 10.1.0.1, port: 1%04[1]d, scheduler: rr, forward: nat, real_servers: *rs}\n"),
		"aliases": "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nx: &rs [" + strings.Repeat("{name: a},", 2000) +
			"]\nvirtual_servers: [" + strings.Repeat("{real_servers: *rs},", 5000) + "]\n",
		"alias of itself": "version: 1\ndirectors: &d [{name: a, address: *d}]\n",
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			c, problems := config.Parse("f", []byte(text))
			if c != nil || !problems.Failed() {
				t.Errorf("accepted: %s", problems)
			}
			if name == "too many values" && (len(problems) != 1 || !strings.Contains(problems[0].Message, "more than 1048576 values")) {
				t.Errorf("the first of %d problems: %s", len(problems), problems[0])
			}
			if len(problems) > 2*1001 { // errors and warnings
				t.Errorf("%d problems", len(problems))
			}
			checkPositions(t, []byte(text), problems[:min(len(problems), 5)])
			t.Logf("%v, %d problems, the first: %.200s", time.Since(start).Round(time.Millisecond), len(problems), problems[0])
		})
	}
}

// A file with thousands of warnings is valid, and one with an error behind them is not.
func TestManyWarnings(t *testing.T) {
	const unchecked = "- {name: s%[1]d, address: 10.1.0.1, port: 1%04[1]d, scheduler: rr, forward: nat, real_servers: [{name: r, address: 10.0.0.1}]}\n"
	text := "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers:\n" + numbered(2000, unchecked)
	c, problems := config.Parse("f", []byte(text))
	if c == nil || problems.Failed() || len(c.VirtualServers) != 2000 || len(problems) != 1001 {
		t.Errorf("%d problems, the last: %s", len(problems), problems[len(problems)-1])
	}
	if last := problems[len(problems)-1].String(); !strings.Contains(last, "warning: more than 1000 warnings: the rest is not shown") {
		t.Error(last)
	}
	c, problems = config.Parse("f", []byte(text+"- {name: last}\n"))
	if c != nil || !strings.Contains(problems.String(), "virtual_servers[2000]") {
		t.Errorf("an error behind the warnings is not found: %d problems", len(problems))
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()[:min(b.Len(), 2<<20)]
}

func wellFormed(k config.CheckKind) bool {
	switch k := k.(type) {
	case config.TCPCheck:
		return true
	case config.MySQLCheck:
		return k.User != ""
	case config.HTTPCheck:
		return k.Paths == "" || strings.HasPrefix(k.Paths.Words()[0], "/") && k.Status != "" && (k.Version == "1.1" || k.Version == "2") && (k.Digest == "" || len(k.Digest) == 32 || len(k.Digest) == 64)
	case config.TLSCheck:
		return k.Days >= 0 && (k.Verify || k.Authorities == "")
	case config.DNSCheck:
		return strings.HasSuffix(k.Name, ".") && slices.Contains(config.RecordTypes(), k.Record)
	case config.SMTPCheck:
		return k.Name != ""
	case config.UDPCheck:
		return !k.Silent || k.Answer.Any()
	case config.CommandCheck:
		return len(k.Argv.Words()) > 0 && strings.HasPrefix(k.Argv.Words()[0], "/")
	case config.FileCheck:
		return strings.HasPrefix(k.Path, "/")
	case config.PingCheck:
		return true
	}
	return false
}
