package ctl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockdiag"
)

// killing ends connections by KILL of a MySQL server, where the kernel cannot. The process list has the client's address and port, but not
// the VIP; the sockets have all of them.
type killing struct {
	wanted      bool
	allOfClient bool
	options     string // a file for the client program
	say         io.Writer
	query       func(ctx context.Context, statements string) (string, error)
}

func (k *killing) addFlags(set *pflag.FlagSet) {
	set.BoolVar(&k.wanted, "kill", false, "let the MySQL server of this machine end them, for a kernel that cannot; the program mysql or mariadb logs in")
	set.BoolVar(&k.allOfClient, "all-of-client", false, "with --kill, if the process list has names of clients instead of addresses: end all connections of these clients, also those that did not come through a VIP")
	set.StringVar(&k.options, "defaults-file", "", "with --kill: the file with the user and password for the program mysql or mariadb (default: those that it reads)")
}

func (k *killing) validate() error {
	if !k.wanted && (k.allOfClient || k.options != "") {
		return errors.New("--all-of-client and --defaults-file are for --kill")
	}
	if k.query == nil {
		k.query = k.client
	}
	return nil
}

// process is a line of SHOW PROCESSLIST.
type process struct {
	id   uint64
	host string // 10.77.0.12:40122, web1:40122, or localhost
}

// end has the server end connections; list lists those of this machine.
func (k *killing) end(ctx context.Context, found []sockdiag.Connection, list func(netip.AddrPort) ([]sockdiag.Connection, error)) (ended int, err error) {
	processes, err := k.processes(ctx)
	if err != nil {
		return 0, err
	}
	port := found[0].Local.Port()
	all, err := list(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	if err != nil {
		return 0, err
	}
	ids, names := chosen(processes, found, all)
	if len(names) > 0 && k.allOfClient {
		fmt.Fprintf(k.say, "ending all connections of %s, also those that did not come through a VIP\n", strings.Join(names, ", "))
		for _, p := range processes {
			if host, _, _ := splitHost(p.host); slices.Contains(names, host) {
				ids = append(ids, p.id)
			}
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 0 {
		if ended, err = k.killAll(ctx, ids); err != nil {
			return ended, err
		}
	}
	if len(names) > 0 && !k.allOfClient {
		return ended, fmt.Errorf("the process list does not tell which connections of %s came through the VIP: --all-of-client ends all connections of these clients", strings.Join(names, ", "))
	}
	return ended, nil
}

// chosen returns the processes of connections that are found, and the clients of those that cannot be told from others: the
// server lists the client by its name, or it has another connection from the same address and port. all are the connections
// to the port.
func chosen(processes []process, found, all []sockdiag.Connection) (ids []uint64, names []string) {
	ports, remotes, total := map[uint16]bool{}, map[netip.AddrPort]bool{}, map[netip.AddrPort]int{}
	for _, c := range found {
		ports[c.Remote.Port()], remotes[c.Remote] = true, true
	}
	for _, c := range all {
		total[c.Remote]++
	}
	for _, p := range processes {
		host, port, ok := splitHost(p.host)
		if !ok || !ports[port] {
			continue
		}
		address, err := netip.ParseAddr(host)
		remote := netip.AddrPortFrom(address, port)
		switch {
		case err == nil && !remotes[remote]:
		case err == nil && total[remote] < 2:
			ids = append(ids, p.id)
		case !slices.Contains(names, host):
			names = append(names, host)
		}
	}
	return ids, names
}

// splitHost splits the column Host, in which an IPv6 address has no brackets.
func splitHost(text string) (host string, port uint16, ok bool) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return text, 0, false
	}
	n, err := strconv.ParseUint(text[at+1:], 10, 16)
	return text[:at], uint16(n), err == nil
}

// killedWithin is how long the server may take to end a connection.
const killedWithin = 5 * time.Second

// killAll ends processes and waits until they are not listed any more.
func (k *killing) killAll(ctx context.Context, ids []uint64) (ended int, err error) {
	var statements strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&statements, "KILL CONNECTION %d;\n", id)
	}
	if _, err := k.query(ctx, statements.String()); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(killedWithin); ; {
		processes, err := k.processes(ctx)
		if err != nil {
			return ended, err
		}
		left := 0
		for _, p := range processes {
			if slices.Contains(ids, p.id) {
				left++
			}
		}
		ended = len(ids) - left
		switch {
		case left == 0:
			return ended, nil
		case time.Now().After(deadline):
			return ended, fmt.Errorf("%s not ended within %s: the server rolls back first; SHOW PROCESSLIST shows them", count(left, "connection"), killedWithin)
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return ended, ctx.Err()
		}
	}
}

func (k *killing) processes(ctx context.Context) ([]process, error) {
	out, err := k.query(ctx, "SHOW PROCESSLIST;\n")
	if err != nil {
		return nil, err
	}
	var all []process
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t") // Id, User, Host, …
		if len(fields) < 3 {
			continue
		}
		id, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("SHOW PROCESSLIST: %q is no number of a connection", fields[0])
		}
		all = append(all, process{id, fields[2]})
	}
	return all, lines.Err()
}

// queryWithin is how long a statement may take.
const queryWithin = 10 * time.Second

// client runs statements by the client program of the server.
func (k *killing) client(ctx context.Context, statements string) (string, error) {
	program, err := toolPath("mariadb")
	if err != nil {
		program, err = toolPath("mysql")
	}
	if err != nil {
		return "", errors.New("--kill needs the client program mysql or mariadb, which is not installed")
	}
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	args := []string{"--batch", "--skip-column-names", "--force"} // a connection that has ended by itself is an error of KILL
	if k.options != "" {
		args = append([]string{"--defaults-file=" + k.options}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(statements)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	if text := strings.TrimSpace(complaints.String()); err != nil && !strings.Contains(text, " 1094 ") {
		return "", fmt.Errorf("%s: %w: %s; --defaults-file names the user and password", program, err, text)
	}
	return out.String(), nil
}
