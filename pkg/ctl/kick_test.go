package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockdiag"
)

const kickFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances: [{name: v, interface: eth0, virtual_router_id: 51, priority: 100, virtual_addresses: [10.77.0.100, 10.77.0.101, 10.77.0.102]}]
virtual_servers:
- {name: mysql, address: 10.77.0.100, port: 3306, scheduler: rr, forward: dr, real_servers: [{name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}
- {name: replica, address: 10.77.0.101, port: 3306, scheduler: rr, forward: dr, real_servers: [{name: mysql1, address: 10.77.0.11}]}
- {name: dns, address: 10.77.0.100, port: 53, protocol: udp, scheduler: rr, forward: dr, real_servers: [{name: mysql1, address: 10.77.0.11}]}
- {name: web, address: 10.77.0.102, port: 80, scheduler: rr, forward: nat, real_servers: [{name: mysql1, address: 10.77.0.11, port: 8080}]}
`

// sockets returns connections as the kernel lists them.
func sockets(local string, remotes ...string) []sockdiag.Connection {
	var all []sockdiag.Connection
	for _, r := range remotes {
		all = append(all, sockdiag.Connection{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(r)})
	}
	return all
}

// machine is a kernel with connections.
type machine struct {
	open  []sockdiag.Connection
	after []sockdiag.Connection // come when connections are ended
	times []time.Duration       // of the calls of destroy
	begun time.Time
}

func (m *machine) list(local netip.AddrPort) (found []sockdiag.Connection, err error) {
	for _, c := range m.open {
		if (c.Local.Addr() == local.Addr() || local.Addr().IsUnspecified()) && (c.Local.Port() == local.Port() || local.Port() == 0) {
			found = append(found, c)
		}
	}
	return found, nil
}

func (m *machine) destroy(all []sockdiag.Connection) (ended int, err error) {
	m.times = append(m.times, time.Since(m.begun))
	for _, c := range all {
		for i, open := range m.open {
			if open == c {
				m.open, ended = append(m.open[:i:i], m.open[i+1:]...), ended+1
				break
			}
		}
	}
	m.open, m.after = append(m.open, m.after...), nil
	return ended, nil
}

func kickOf(t *testing.T, m *machine) kick {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(kickFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return kick{flags: &flags{output: "table"}, file: file, node: "mysql1", list: m.list, destroy: m.destroy}
}

func someConnections() []sockdiag.Connection {
	all := sockets("10.77.0.100:3306", "10.20.0.1:1001", "10.20.0.1:1002", "10.30.0.1:1003")
	all = append(all, sockets("10.77.0.101:3306", "10.20.0.1:1004")...)
	return append(all, sockets("10.77.0.11:3306", "10.77.0.12:1005", "10.20.0.1:1006")...) // not through a VIP
}

// TestKick: what is ended, and what is said of it.
func TestKick(t *testing.T) {
	for _, tt := range []struct {
		name, server string
		change       func(*kick)
		after        []sockdiag.Connection
		out, err     string
		left         int
	}{
		{"all of a real server", "mysql1", nil, nil, "mysql/mysql1, 10.77.0.100:3306: 3 of 3 connections of 2 clients ended\nreplica/mysql1, 10.77.0.101:3306: 1 of 1 connection of 1 client ended\n", "", 2},
		{"by its address", "10.77.0.11", nil, nil, "mysql/mysql1, 10.77.0.100:3306: 3 of 3 connections of 2 clients ended\nreplica/mysql1, 10.77.0.101:3306: 1 of 1 connection of 1 client ended\n", "", 2},
		{"of one virtual server", "replica/mysql1", nil, nil, "replica/mysql1, 10.77.0.101:3306: 1 of 1 connection of 1 client ended\n", "", 5},
		{"through one VIP", "mysql1", func(k *kick) { k.vips = []string{"10.77.0.101"} }, nil, "replica/mysql1, 10.77.0.101:3306: 1 of 1 connection of 1 client ended\n", "", 5},
		{"of some clients", "mysql/mysql1", func(k *kick) { k.clients = []string{"10.30.0.0/16"} }, nil, "mysql/mysql1, 10.77.0.100:3306: 1 of 1 connection of 1 client ended\n", "", 5},
		{"dry run", "mysql/mysql1", func(k *kick) { k.dryRun = true }, nil, "mysql/mysql1, 10.77.0.100:3306: 3 connections of 2 clients\n", "", 6},
		{
			"new ones come", "replica/mysql1", nil, sockets("10.77.0.101:3306", "10.20.0.1:1007"),
			"replica/mysql1, 10.77.0.101:3306: 1 of 1 connection of 1 client ended; 1 new connection since: the directors still send clients here, which lvsctl drain replica/mysql1 on each of them changes\n", "", 6,
		},
		{"none", "mysql/mysql1", func(k *kick) { k.clients = []string{"10.40.0.1"} }, nil, "mysql/mysql1, 10.77.0.100:3306: no connections\n", "", 6},
		{"another machine", "mysql2", nil, nil, "", "mysql2 is not this machine, which is mysql/mysql1, replica/mysql1, dns/mysql1, web/mysql1: run lvsctl kick on the real server itself", 6},
		{"no real server", "mysql1", func(k *kick) { k.node = "lvs-master" }, nil, "", "kick runs on the real server whose connections it ends: ", 6},
		{"a VIP of others", "mysql/mysql1", func(k *kick) { k.vips = []string{"10.77.0.101"} }, nil, "", "mysql/mysql1 has no such VIP", 6},
		{"UDP", "dns/mysql1", nil, nil, "", "dns/mysql1 has no TCP connections", 6},
		{"NAT", "web/mysql1", nil, nil, "", "web/mysql1 has forward: nat: this machine cannot tell which", 6},
		{"no address", "mysql1", func(k *kick) { k.vips = []string{"eth0"} }, nil, "", "--vip eth0: want an address such as 10.77.0.100", 6},
		{"no network", "mysql1", func(k *kick) { k.clients = []string{"eth0"} }, nil, "", "--clients eth0: want a network", 6},
		{"negative", "mysql1", func(k *kick) { k.perSecond = -1 }, nil, "", "--per-second -1: must be 1 or more", 6},
		{"kernel", "mysql1", func(k *kick) {
			k.destroy = func([]sockdiag.Connection) (int, error) { return 0, sockdiag.ErrNoDestroy }
		}, nil, "mysql/mysql1, 10.77.0.100:3306: 0 of 3 connections of 2 clients ended\n", "this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY): --kill has", 6},
		{"options of kill", "mysql1", func(k *kick) { k.kill.allOfClient = true }, nil, "", "--all-of-client and --defaults-file are for --kill", 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{open: someConnections(), after: tt.after}
			k := kickOf(t, m)
			if tt.change != nil {
				tt.change(&k)
			}
			var out bytes.Buffer
			err := k.run(t.Context(), &out, tt.server)
			if out.String() != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) || len(m.open) != tt.left {
				t.Errorf("%q, %v, %d left\nwant %q, %q, %d", out.String(), err, len(m.open), tt.out, tt.err, tt.left)
			}
		})
	}
}

// TestKickPace: --per-second is kept.
func TestKickPace(t *testing.T) {
	for _, tt := range []struct {
		perSecond int
		want      string
	}{{0, "[0s]"}, {10, "[0s 100ms 200ms]"}, {20, "[0s 100ms]"}, {2, "[0s 500ms 1s]"}} {
		synctest.Test(t, func(t *testing.T) {
			m := &machine{open: someConnections(), begun: time.Now()}
			k := kickOf(t, m)
			k.perSecond = tt.perSecond
			var out bytes.Buffer
			if err := k.run(t.Context(), &out, "mysql/mysql1"); err != nil || fmt.Sprint(m.times) != tt.want {
				t.Errorf("%d per second: %v, %v; want %s", tt.perSecond, m.times, err, tt.want)
			}
		})
	}
}

// TestKill: which connections the server is told to end.
func TestKill(t *testing.T) {
	const list = "5\troot\tlocalhost\tNULL\tQuery\t0\tSHOW PROCESSLIST\n6\tsystem user\t\tNULL\tSleep\t1\t\n"
	direct := "14\tapp\t10.20.0.1:1006\tNULL\tSleep\t1\t\n15\trepl\t10.77.0.12:1005\tNULL\tBinlog Dump\t1\t\n"
	for _, tt := range []struct {
		name, processes string
		all             bool
		more            []sockdiag.Connection
		killed, said    string
		err             string
	}{
		{"addresses", "11\tapp\t10.20.0.1:1001\n12\tapp\t10.20.0.1:1002\n13\tapp\t10.30.0.1:1003\n", false, nil, "11 12 13", "", ""},
		{"names", "11\tapp\tweb1:1001\n12\tapp\tweb1:1002\n13\tapp\t10.30.0.1:1003\n", false, nil, "13", "", "the process list does not tell which connections of web1 came through the VIP"},
		{"all of a name", "11\tapp\tweb1:1001\n13\tapp\t10.30.0.1:1003\n16\tapp\tweb1:1006\n", true, nil, "11 13 16", "ending all connections of web1, also those that did not come through a VIP\n", ""},
		{"the same port through the VIP and directly", "11\tapp\t10.20.0.1:1001\n", false, sockets("10.77.0.11:3306", "10.20.0.1:1001"), "", "", "the process list does not tell which connections of 10.20.0.1 "},
		{"not logged in", "", false, nil, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{open: append(someConnections(), tt.more...)}
			k := kickOf(t, m)
			killed := []string{}
			said := bytes.Buffer{}
			k.kill = killing{wanted: true, allOfClient: tt.all, say: &said, query: func(_ context.Context, statements string) (string, error) {
				if strings.HasPrefix(statements, "KILL") {
					killed = append(killed, strings.Fields(strings.NewReplacer("KILL CONNECTION ", "", ";", "").Replace(statements))...)
					return "", nil
				}
				if len(killed) > 0 {
					return list + direct, nil
				}
				return list + tt.processes + direct, nil
			}}
			err := k.run(t.Context(), &bytes.Buffer{}, "mysql/mysql1")
			if got := strings.Join(killed, " "); got != tt.killed || said.String() != tt.said || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("killed %q, said %q, %v; want %q, %q, %q", got, said.String(), err, tt.killed, tt.said, tt.err)
			}
		})
	}
}

// TestKillWaits: a connection whose transaction is rolled back ends later, or is said not to have ended.
func TestKillWaits(t *testing.T) {
	for _, ends := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			k := killing{query: func(_ context.Context, statements string) (string, error) {
				if asked++; ends && asked > 4 {
					return "", nil
				}
				return "11\tapp\t10.20.0.1:1001\n", nil
			}}
			n, err := k.killAll(t.Context(), []uint64{11})
			if ends != (err == nil) || ends != (n == 1) {
				t.Errorf("ends %t: %d, %v", ends, n, err)
			}
		})
	}
}

// TestKillErrors: what the client program and its answers can be like.
func TestKillErrors(t *testing.T) {
	m := &machine{open: someConnections()}
	for _, answer := range []struct {
		text string
		err  error
	}{{"x\ty\tz\n", nil}, {"", errors.New("access denied")}} {
		k := kickOf(t, m)
		k.kill = killing{wanted: true, query: func(context.Context, string) (string, error) { return answer.text, answer.err }}
		if err := k.run(t.Context(), &bytes.Buffer{}, "mysql/mysql1"); err == nil {
			t.Errorf("%q, %v: no error", answer.text, answer.err)
		}
	}
}
