package migration_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/migration"
)

// What lvsctl check refuses has a line that is refused: whatever a ldirectord.cf or a table has that its program takes, the result is
// valid if no line of it is refused.
func TestNothingRefusedIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for name, in := range map[string]string{"a.cf": drawDirectord(t), "a.rules": drawTable(t)} {
			r := migration.Import([]migration.Source{{Node: "a", Files: []migration.File{parsed("a", name, []byte(in))}}}, migration.Options{
				SecretsDir: "/etc/lvs-director", Addresses: map[string]string{"a": "10.77.0.2"},
			})
			if _, problems := config.Parse("cluster.yaml", r.YAML); r.Refused() == 0 && problems.Failed() && len(r.YAML) > 100 {
				t.Errorf("%s\nis\n%s\nwhich is not valid:\n%s", in, r.YAML, problems)
			}
		}
	})
}

func drawDirectord(t *rapid.T) string {
	var b strings.Builder
	draw := func(label string, lines ...string) {
		if line := rapid.SampledFrom(append(lines, "")).Draw(t, label); line != "" {
			b.WriteString(line + "\n")
		}
	}
	draw("fallback", "fallback=10.77.0.11:80", "fallback=10.77.0.30", "fallback=10.79.0.30:81 masq")
	draw("interval", "checkinterval=5", "checkinterval=1")
	draw("timeout", "checktimeout=3", "negotiatetimeout=7")
	draw("quiescent", "quiescent=yes", "quiescent=no")
	for n := range rapid.IntRange(1, 3).Draw(t, "virtuals") {
		place := rapid.SampledFrom([]string{fmt.Sprint(n + 1), fmt.Sprintf("10.77.0.%d:80", 100+n), fmt.Sprintf("10.77.0.%d:%d", 100+n, 8000+n), fmt.Sprintf("10.77.0.%d:53", 100+n), fmt.Sprintf("10.77.0.%d:3306", 100+n)}).Draw(t, "place")
		fmt.Fprintf(&b, "virtual=%s\n", place)
		for range rapid.IntRange(1, 3).Draw(t, "reals") {
			real := rapid.SampledFrom([]string{"10.77.0.11", "10.77.0.12", "10.77.0.13->10.77.0.14"}).Draw(t, "real") + rapid.SampledFrom([]string{"", ":80", ":81"}).Draw(t, "port")
			fmt.Fprintf(&b, "\treal=%s %s %s %s\n", real, rapid.SampledFrom([]string{"gate", "masq", "ipip"}).Draw(t, "method"), rapid.SampledFrom([]string{"", "3", "0"}).Draw(t, "weight"), rapid.SampledFrom([]string{"", "", `"a b.html", "x$"`, `"http://h x/y", "x"`}).Draw(t, "own"))
		}
		draw("checktype", "\tchecktype=connect", "\tchecktype=negotiate", "\tchecktype=ping", "\tchecktype=3", "\tchecktype=on", "\tchecktype=off", "\tchecktype=external\n\tcheckcommand=\"/bin/x\"")
		draw("service", "\tservice=http", "\tservice=https", "\tservice=mysql\n\tlogin=\"u\"\n\tpasswd=\"p\"", "\tservice=dns\n\trequest=\"www.example.com\"\n\treceive=\"192.0.2.1\"", "\tservice=simpletcp", "\tservice=sip", "\tservice=radius", "\tservice=ftp", "\tservice=none", "\tservice=ldap", "\tservice=imaps", "\tservice=smtp")
		draw("request", "\trequest=\"/a b\"", "\trequest=\"http://www.example.com/\"", "\trequest=\"x\\n\"")
		draw("receive", "\treceive=\"OK$\"", "\treceive=\"^a|[$]$\"")
		draw("method", "\thttpmethod=HEAD", "\thttpmethod=GET")
		draw("host", "\tvirtualhost=\"www.example.com\"", "\tvirtualhost=www")
		draw("protocol", "\tprotocol=udp", "\tprotocol=tcp")
		draw("scheduler", "\tscheduler=wlc", "\tscheduler=mh", "\tscheduler=rr")
		draw("persistent", "\tpersistent=300", "\tpersistent=300\n\tnetmask=255.255.255.0", "\tnetmask=255.255.255.0")
		draw("ops", "\tops=yes")
		draw("checkport", "\tcheckport=8080")
		draw("fallback", "\tfallback=10.77.0.30:80", "\tfallback=10.79.0.30 masq", "\tfallback=10.77.0.11:81 masq")
	}
	return b.String()
}

func drawTable(t *rapid.T) string {
	var b strings.Builder
	for n := range rapid.IntRange(1, 4).Draw(t, "services") {
		address := fmt.Sprintf("10.77.0.%d", 100+n)
		place := rapid.SampledFrom([]string{"-t " + address + ":80", "-u " + address + ":53", "--sctp-service " + address + ":99", fmt.Sprintf("-f %d", n+1), "-t " + address + ":0"}).Draw(t, "place")
		persistence := rapid.SampledFrom([]string{"", " -p 300", " -p 300 -M 255.255.255.0", " -p 60 --pe sip"}).Draw(t, "persistence")
		if strings.HasSuffix(place, ":0") && persistence == "" {
			persistence = " -p 300"
		}
		fmt.Fprintf(&b, "-A %s -s %s%s%s\n", place, rapid.SampledFrom([]string{"rr", "wlc", "sh -b sh-port", "mh -b mh-fallback", "sed"}).Draw(t, "scheduler"), persistence, rapid.SampledFrom([]string{"", " -o"}).Draw(t, "ops"))
		for range rapid.IntRange(0, 3).Draw(t, "reals") {
			fmt.Fprintf(&b, "-a %s -r %s%s %s -w %d\n", place, rapid.SampledFrom([]string{"10.79.0.11", "10.79.0.12", "10.79.0.13"}).Draw(t, "real"), rapid.SampledFrom([]string{"", ":0", ":80", ":53", ":81"}).Draw(t, "port"),
				rapid.SampledFrom([]string{"-g", "-m", "-i", "-i --tun-type gre --tun-csum", "-i --tun-type gue --tun-port 5555 --tun-nocsum"}).Draw(t, "method"), rapid.IntRange(0, 3).Draw(t, "weight"))
		}
	}
	return b.String()
}
