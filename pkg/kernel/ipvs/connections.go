package ipvs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// connectionFile is the connection table of the calling thread's network namespace.
const connectionFile = "/proc/thread-self/net/ip_vs_conn"

// established are the names of ip_vs_state_name for connections that are open. One of UDP has no other state.
var established = []string{"ESTABLISHED", "UDP"}

// Connections calls each for every open connection: an established one of TCP or SCTP, or one of UDP. Persistence of clients is left out.
// Entries may be missing or appear twice while others come and go. The time grows with the square of the number of
// entries, because the kernel counts from the beginning for each page (ip_vs_conn_seq_start): read it seldom.
//
// Errors: ErrNoIPVS, and those of reading.
func Connections(each func(lvs.Connection)) error {
	f, err := os.Open(connectionFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoIPVS
	}
	if err != nil {
		return fmt.Errorf("ipvs: connections: %w", err)
	}
	defer f.Close()
	if err := parseConnections(f, each); err != nil {
		return fmt.Errorf("ipvs: connections: %s: %w", connectionFile, err)
	}
	return nil
}

// parseConnections parses the output of ip_vs_conn_seq_show: "TCP 0A010001 ED62 0A010002 0CEA 0A020003 0CEA ESTABLISHED  893".
func parseConnections(r io.Reader, each func(lvs.Connection)) error {
	lines := bufio.NewScanner(r)
	var fields []string
	for number := 1; lines.Scan(); number++ {
		if number%giveWayEvery == 0 {
			runtime.Gosched()
		}
		fields = slices.AppendSeq(fields[:0], strings.FieldsSeq(lines.Text()))
		if number == 1 || len(fields) == 0 { // the heading
			continue
		}
		if len(fields) < 9 {
			return fmt.Errorf("line %d has %d fields", number, len(fields))
		}
		if !slices.Contains(established, fields[7]) {
			continue
		}
		c := lvs.Connection{Protocol: strings.ToLower(fields[0])}
		for n, to := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Server} {
			var err error
			if *to, err = connectionAddress(fields[1+2*n], fields[2+2*n]); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		each(c)
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
