package ipvs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// connectionFile is the connection table of the calling thread's network namespace.
const connectionFile = "/proc/thread-self/net/ip_vs_conn"

// established are the names of ip_vs_state_name for connections that are open. One of UDP has no other state.
var established = []string{"ESTABLISHED", "UDP"}

const (
	noPort = "0000" // of a client, in a template
	byMark = "IP"   // the protocol in the template of a firewall mark
)

// Connections calls each for every open connection, an established one of TCP or SCTP, or one of UDP, and for the
// persistence of every client (lvs.Connection.Template) but that of a firewall mark. Entries may be missing or appear twice
// while others come and go. In kernels before 6.16 the time grows with the square of the number of entries, because they
// count from the beginning for each page (ip_vs_conn_seq_start): read it seldom. Where a page takes long, it sleeps three
// times as long after each, so that it takes a quarter of a CPU: a daemon of high priority that read all at once would keep
// the kernel's threads from handling packets on a machine with one CPU. It ends with ctx, at the next page.
//
// Errors: ErrNoIPVS, that of ctx, and those of reading.
func Connections(ctx context.Context, each func(lvs.Connection)) error {
	return connections(ctx, sleepRatio, isOpen, func(c lvs.Connection, _ string) { each(c) })
}

// States is like Connections for every connection, also those that are being opened or closed, with the name of its state
// (ip_vs_state_name, such as SYN_RECV). It takes a third of the time where a page takes long: it is for the moment in which an
// address moves.
func States(ctx context.Context, each func(c lvs.Connection, state string)) error {
	return connections(ctx, 1, isAny, each)
}

func isOpen(state string) bool { return slices.Contains(established, state) }
func isAny(string) bool        { return true }

func connections(ctx context.Context, ratio int, wanted func(state string) bool, each func(c lvs.Connection, state string)) error {
	f, err := os.Open(connectionFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoIPVS
	}
	if err != nil {
		return fmt.Errorf("ipvs: connections: %w", err)
	}
	defer f.Close()
	if err := parseConnections(ctx, &unhurried{ctx: ctx, r: f, ratio: ratio}, wanted, each); err != nil {
		return fmt.Errorf("ipvs: connections: %s: %w", connectionFile, err)
	}
	return nil
}

// unhurried is a reader that sleeps after each read that took long.
type unhurried struct {
	ctx   context.Context
	r     io.Reader
	ratio int // of the sleep to the read
}

const (
	longRead   = time.Millisecond
	sleepRatio = 3
)

func (u *unhurried) Read(b []byte) (int, error) {
	begun := time.Now()
	n, err := u.r.Read(b)
	if took := time.Since(begun); took >= longRead {
		rest := time.NewTimer(time.Duration(u.ratio) * took)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-u.ctx.Done():
			return n, u.ctx.Err()
		}
	}
	return n, err
}

// parseConnections parses the output of ip_vs_conn_seq_show: "TCP 0A010001 ED62 0A010002 0CEA 0A020003 0CEA ESTABLISHED  893".
func parseConnections(ctx context.Context, r io.Reader, wanted func(state string) bool, each func(c lvs.Connection, state string)) error {
	lines := bufio.NewScanner(r)
	var fields []string
	for number := 1; lines.Scan(); number++ {
		if number%giveWayEvery == 0 {
			runtime.Gosched()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		fields = slices.AppendSeq(fields[:0], strings.FieldsSeq(lines.Text()))
		if number == 1 || len(fields) == 0 { // the heading
			continue
		}
		if len(fields) < 9 {
			return fmt.Errorf("line %d has %d fields", number, len(fields))
		}
		template := fields[2] == noPort
		if template && fields[0] == byMark || !template && !wanted(fields[7]) {
			continue
		}
		c := lvs.Connection{Protocol: strings.ToLower(fields[0])}
		for n, to := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Server} {
			var err error
			if *to, err = connectionAddress(fields[1+2*n], fields[2+2*n]); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		each(c, fields[7])
	}
	return lines.Err()
}

// connectionAddress parses "0A010001" or an IPv6 address without brackets, and a hexadecimal port.
func connectionAddress(host, port string) (netip.AddrPort, error) {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return snapshotAddress(host + ":" + port)
}
