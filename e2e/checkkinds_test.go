package e2e

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// The content of the page of the web servers.
const page = "all is well\n"

// kindsFile has a virtual server for each kind of check.
const kindsFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - {name: page, address: 10.77.0.100, port: 80, scheduler: rr, forward: dr, real_servers: &servers [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}],
      checks: [{type: http, OFTEN, paths: [/, /page], digest: DIGEST, host: www.example.org, headers: ["X-Check: yes"]}]}
  - {name: match, address: 10.77.0.100, port: 81, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: http, OFTEN, port: 80, expect_regex: "^all .* well"}]}
  - {name: account, address: 10.77.0.100, port: 82, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: http, OFTEN, port: 80, paths: [/private], user: check, password_file: PASSWORD}]}
  - {name: either, address: 10.77.0.100, port: 94, scheduler: rr, forward: dr, real_servers: *servers, checks_needed: 1,
      checks: [{type: ping, OFTEN}, {type: http, OFTEN, port: 80, paths: [/private], user: check, password_file: PASSWORD}]}
  - {name: secure, address: 10.77.0.100, port: 443, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: https, OFTEN, http_version: 2, host: other.example.org, server_name: www.example.org, verify: true, ca_file: CA, client_certificate_file: CLIENT, status: [404], paths: [/nothing]}]}
  - {name: handshake, address: 10.77.0.100, port: 444, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: tls, OFTEN, port: 443, server_name: www.example.org, verify: true, ca_file: CA, client_certificate_file: CLIENT}]}
  - {name: redis, address: 10.77.0.100, port: 6379, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: tcp, OFTEN, send: "PING\r\n", expect: "+PONG"}]}
  - {name: dns, address: 10.77.0.100, port: 53, protocol: udp, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: dns, OFTEN, query: www.example.org, record: A, expect: 10.0.0.1}]}
  - {name: packets, address: 10.77.0.100, port: 5060, protocol: udp, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: udp, OFTEN, send_hex: "00ff"}]}
  - {name: mail, address: 10.77.0.100, port: 25, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: smtp, OFTEN, helo: director.example.org}]}
  - {name: host, address: 10.77.0.100, port: 90, scheduler: rr, forward: dr, real_servers: *servers, checks: [{type: ping, OFTEN}]}
  - {name: program, address: 10.77.0.100, port: 91, scheduler: rr, forward: dr, real_servers: *servers,
      checks: [{type: command, interval: 600ms, timeout: 500ms, rise: 1, command: [/bin/sh, -c, 'test ! -e "DIR/$LVS_ADDRESS:$LVS_PORT"']}]}
  - {name: weight, address: 10.77.0.100, port: 93, scheduler: wrr, forward: dr, real_servers: *servers,
      checks: [{type: command, interval: 600ms, timeout: 500ms, rise: 1, sets_weight: true, command: [/bin/sh, -c, 'test $LVS_ADDRESS = 10.77.0.11 || exit $(cat DIR/status || echo 0)']}]}
  - {name: number, address: 10.77.0.100, port: 92, scheduler: rr, forward: dr, real_servers: [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12, checks: [{type: file, OFTEN, path: DIR/number}]}], checks: [{type: ping}]}
timeouts: {tcp: 8h}
`

// kinds is a director and two hosts with the servers that it checks.
type kinds struct {
	*cluster
	dir     string // which every user may read
	servers [2]kindServers
}

// kindServers are the servers of one host.
type kindServers struct {
	host                             *lab.Host
	root                             string // of the web server
	nginx, redis, dns, packets, mail *lab.Daemon
}

// TestCheckKinds: each kind of check keeps a server of Debian's packages in the table while it works, takes it out when it
// does not, and adds it again. A check that a server turns away takes nothing out. The servers' own logs show what was asked.
//
// Proves docs/checks.md: "A check talks to a server as its clients do, and takes it out when they would not be served"
func TestCheckKinds(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Peers)
	k := newKinds(t)
	k.master.start()
	for _, port := range []string{"80", "81", "82", "443", "444", "6379", "53", "5060", "25", "90", "91", "92", "93", "94"} {
		k.serves(port, true)
	}
	two := &k.servers[1]
	for _, step := range []struct {
		name       string
		ports      []string
		fail, mend func()
	}{
		{"content", []string{"80", "81"}, func() { k.write(two.root+"/page", "moved\n") }, func() { k.write(two.root+"/page", page) }},
		{"certificate", []string{"443", "444"}, func() { two.certificate(k, "elsewhere.example.org") }, func() { two.certificate(k, "www.example.org") }},
		{"redis", []string{"6379"}, func() { two.redisSays("CONFIG", "SET", "requirepass", "secret") }, func() { two.redisSays("-a", "secret", "CONFIG", "SET", "requirepass", "") }},
		{"frozen redis", []string{"6379"}, func() { two.redis.Pause() }, func() { two.redis.Resume() }},
		{"dns", []string{"53"}, func() { two.dns.Kill() }, func() { two.startDNS(k, "10.0.0.1") }},
		{"dns, wrong", []string{"53"}, func() { two.dns.Kill(); two.startDNS(k, "10.0.0.9") }, func() { two.dns.Kill(); two.startDNS(k, "10.0.0.1") }},
		{"udp", []string{"5060"}, func() { two.packets.Kill() }, func() { two.startPackets() }},
		{"smtp", []string{"25"}, func() { two.mail.Pause() }, func() { two.mail.Resume() }},
		{"ping", []string{"90"}, func() { two.host.Sysctl("net.ipv4.icmp_echo_ignore_all", "1") }, func() { two.host.Sysctl("net.ipv4.icmp_echo_ignore_all", "0") }},
		{"command", []string{"91"}, func() { k.write(k.dir+"/10.77.0.12:91", "") }, func() { k.remove(k.dir + "/10.77.0.12:91") }},
		{"file", []string{"92"}, func() { k.write(k.dir+"/number", "1\n") }, func() { k.write(k.dir+"/number", "0\n") }},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			step.fail()
			for _, port := range step.ports {
				k.serves(port, false)
			}
			step.mend()
			for _, port := range step.ports {
				k.serves(port, true)
			}
		})
		if !ok {
			return
		}
	}
	t.Run("weight", k.weight)
	t.Run("explained", k.explained)
	t.Run("turned away", k.turnedAway)
	t.Run("logs", k.logs)
}

func newKinds(t *testing.T) *kinds {
	k := &kinds{cluster: newCluster(t, shape{})}
	dir, err := os.MkdirTemp("/tmp", "kinds")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	k.dir = dir
	sum := md5.Sum([]byte(page))
	certificates := newCertificates(t)
	k.net.File("authority.pem", certificates.authority)
	for _, name := range []string{"www.example.org", "elsewhere.example.org", "director.example.org"} {
		k.net.File(name+".pem", certificates.issue(name))
	}
	k.net.File("cluster.yaml", strings.NewReplacer(
		"OFTEN", "interval: 300ms, timeout: 250ms, rise: 1", "DIGEST", hex.EncodeToString(sum[:]), "DIR", dir, "PASSWORD", k.net.File("web.password", "secret\n"),
		"CA", filepath.Join(k.net.Dir(), "authority.pem"), "CLIENT", filepath.Join(k.net.Dir(), "director.example.org.pem"),
	).Replace(kindsFile))
	for i, host := range []*lab.Host{k.mysql1.Host, k.mysql2.Host} {
		s := &k.servers[i]
		*s = kindServers{host: host, root: host.Path("www")}
		s.startWeb(k)
		s.redis = host.Start("redis", "redis-server", "--port", "6379", "--save", "", "--dir", host.Path(), "--protected-mode", "no")
		s.startDNS(k, "10.0.0.1")
		s.startPackets()
		s.mail = startMail(host)
	}
	return k
}

func (s *kindServers) startWeb(k *kinds) {
	k.write(s.root+"/page", page)
	k.write(s.root+"/index.html", page)
	s.certificate(k, "www.example.org")
	conf := k.net.File(s.host.Name+"-nginx.conf", strings.NewReplacer("ROOT", s.root, "DIR", s.host.Path(), "CA", filepath.Join(k.net.Dir(), "authority.pem")).Replace(`
user root;
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log DIR/nginx-error.log info;
events {}
http {
  log_format checks '$remote_addr $request $status $http_host $http_x_check $remote_user $ssl_server_name $ssl_client_verify "$http_user_agent"';
  access_log DIR/nginx.log checks;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  root ROOT;
  server {
    listen 80;
    location = / { try_files /page =404; }
    location = /private { auth_basic private; auth_basic_user_file DIR/accounts; try_files /page =404; }
  }
  server {
    listen 443 ssl http2;
    ssl_certificate DIR/server.pem; ssl_certificate_key DIR/server.pem;
    ssl_client_certificate CA; ssl_verify_client on;
  }
}
`))
	k.write(s.host.Path("accounts"), "check:{PLAIN}secret\n")
	s.nginx = s.host.Start("nginx", "nginx", "-c", conf, "-p", s.host.Path())
}

// certificate gives the web server a certificate for a name.
func (s *kindServers) certificate(k *kinds, name string) {
	raw, err := os.ReadFile(filepath.Join(k.net.Dir(), name+".pem"))
	if err != nil {
		k.t.Fatal(err)
	}
	k.write(s.host.Path("server.pem"), string(raw))
	if s.nginx != nil {
		s.host.Run("kill", "-HUP", strings.TrimSpace(s.host.ReadFile(s.host.Path("nginx.pid"))))
	}
}

func (s *kindServers) startDNS(k *kinds, address string) {
	s.dns = s.host.Start("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
		"--log-queries", "--log-facility=-", "--local=/example.org/", "--address=/www.example.org/"+address)
}

func (s *kindServers) startPackets() {
	s.packets = standin.StartPackets(s.host, "0.0.0.0:5060", s.host.Name)
}

func (s *kindServers) redisSays(args ...string) {
	s.host.Run(append([]string{"redis-cli", "-h", s.host.Address().String()}, args...)...)
}

// serves waits until mysql2 is, or is not, a real server on a port of the VIP; mysql1 always is.
func (k *kinds) serves(port string, both bool) {
	k.t.Helper()
	lab.Eventually(k.t, soon, func() error {
		table := k.master.table()
		service := table.Service(vip + ":" + port)
		one, two := service.Server("10.77.0.11:"+port), service.Server("10.77.0.12:"+port)
		if !one.Exists() || two.Exists() != both {
			return fmt.Errorf("port %s: mysql1 is in the table: %t, mysql2: %t, want %t\n%s%s", port, one.Exists(), two.Exists(), both, table.Text, k.master.daemon.Tail(20))
		}
		return nil
	})
}

// weight: the exit status of a command is a weight, as that of misc_dynamic.
func (k *kinds) weight(t *testing.T) {
	status := k.dir + "/status"
	for _, step := range []struct {
		status string
		weight int
	}{{"12", 10}, {"2", 0}, {"255", 253}, {"0", 1}} {
		k.write(status, step.status)
		lab.Eventually(t, soon, func() error {
			table := k.master.table()
			service := table.Service(vip + ":93")
			one, two := service.Server("10.77.0.11:93"), service.Server("10.77.0.12:93")
			if !two.Exists() || two.Weight != step.weight || one.Weight != 1 {
				return fmt.Errorf("after exit status %s, want weight %d\n%s", step.status, step.weight, table.Text)
			}
			return nil
		})
	}
	k.write(status, "1")
	k.serves("93", false)
	k.write(status, "3")
	k.serves("93", true)
}

// explained: an operator makes a check by hand, with the digest of the page, and sees why a server is out.
func (k *kinds) explained(t *testing.T) {
	sum := md5.Sum([]byte(page))
	out, err := k.master.ctl("probe", "page/mysql1", "-v")
	if err != nil || !strings.Contains(out, "md5 "+hex.EncodeToString(sum[:])) || !strings.Contains(out, "good: http: /page answered with 200") {
		t.Errorf("lvsctl probe: %v\n%s", err, out)
	}
	k.write(k.dir+"/10.77.0.12:91", "")
	k.serves("91", false)
	if out, err := k.master.ctl("probe", "program/mysql2"); lab.ExitCode(err) != 1 || !strings.Contains(out, "bad: command: exit status 1 [failed]") {
		t.Errorf("lvsctl probe of a server that fails: %v\n%s", err, out)
	}
	out, err = k.master.ctl("explain", "program/mysql2")
	for _, want := range []string{"program/mysql2 is down, with weight 0 of 1 in the table", "down: 2 failures in a row (fall); comes back after 1 success (rise)", "not good", "exit status 1 [failed]"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("lvsctl explain does not say %q: %v\n%s", want, err, out)
		}
	}
	k.remove(k.dir + "/10.77.0.12:91")
	k.serves("91", true)
	if out, err := k.master.ctl("explain", "program/nobody"); err == nil || !strings.Contains(err.Error(), `no real server is named "program/nobody": want page/mysql1`) {
		t.Errorf("lvsctl explain of nobody: %v\n%s", err, out)
	}
}

// turnedAway: wrong passwords, and files that cannot be used, say nothing about the servers.
func (k *kinds) turnedAway(t *testing.T) {
	mark := k.master.daemon.Mark()
	k.net.File("web.password", "wrong\n")
	mark.WaitLog(`check is inconclusive.* server=account/mysql2\S* code=auth cause="http: .*status 401 Unauthorized`, soon)
	k.net.File("director.example.org.pem", "nothing")
	mark.WaitLog(`check is inconclusive.* server=secure/mysql2 code=secret`, soon)
	for _, port := range []string{"82", "94", "443", "444"} {
		k.serves(port, true)
	}
	k.master.warns("WARNING: account/mysql1: up: kept: http: ")
	k.master.warns("; either/mysql1: up: 2 of 2 pass, 1 needed: up: kept: http: ")
}

// logs shows what the servers saw.
func (k *kinds) logs(t *testing.T) {
	host := k.servers[0].host
	access := host.ReadFile(host.Path("nginx.log"))
	for _, want := range []string{
		`10.77.0.2 GET / HTTP/1.1 200 www.example.org yes - - - "lvs-director"`,
		`10.77.0.2 GET /page HTTP/1.1 200 www.example.org yes - - - "lvs-director"`,
		`10.77.0.2 GET /private HTTP/1.1 200 10.77.0.11 - check - - "lvs-director"`,
		`10.77.0.2 GET /private HTTP/1.1 401 10.77.0.11 - check - - "lvs-director"`,
		`10.77.0.2 GET /nothing HTTP/2.0 404 other.example.org - - www.example.org SUCCESS "lvs-director"`,
	} {
		if !strings.Contains(access, want+"\n") {
			t.Errorf("the web server's log does not have %s:\n%s", want, access)
		}
	}
	for line := range strings.Lines(host.ReadFile(host.Path("nginx-error.log"))) {
		if strings.Contains(line, "[error]") && !strings.Contains(line, "password mismatch") && !strings.Contains(line, "/nothing") || strings.Contains(line, "[crit]") {
			t.Errorf("the web server's log of errors: %s", line)
		}
	}
	if log := k.servers[0].dns.Log(); !strings.Contains(log, "query[A] www.example.org from 10.77.0.2") {
		t.Errorf("the log of dnsmasq: %s", log)
	}
	if log := k.servers[0].mail.Log(); !strings.Contains(log, "EHLO director.example.org") || !strings.Contains(log, "QUIT") {
		t.Errorf("the log of the mail server: %s", log)
	}
}

func (k *kinds) write(path, text string) {
	k.t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kinds) remove(path string) {
	k.t.Helper()
	if err := os.Remove(path); err != nil {
		k.t.Fatal(err)
	}
}
