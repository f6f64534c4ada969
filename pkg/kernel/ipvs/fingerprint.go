package ipvs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// seed makes the fingerprints of one process comparable.
var seed = maphash.MakeSeed()

// lineMax is longer than any line of the table, in bytes.
const lineMax = 4096

// Fingerprint returns a hash of what Snapshot would return, without the counters of connections: as long as it is the same,
// Snapshot need not be called. It costs a fraction of that and leaves no garbage, because nothing is parsed. Fingerprints of
// different processes cannot be compared.
//
// Errors: ErrNoIPVS, and those of reading the file.
func Fingerprint() (uint64, error) {
	f, err := os.Open(tableFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoIPVS
	}
	if err != nil {
		return 0, fmt.Errorf("ipvs: fingerprint: %w", err)
	}
	defer f.Close()
	sum, err := fingerprint(f)
	if err != nil {
		return 0, fmt.Errorf("ipvs: fingerprint: %s: %w", tableFile, err)
	}
	return sum, nil
}

// fingerprint hashes the output of ip_vs_info_seq_show.
func fingerprint(r io.Reader) (uint64, error) {
	var hash maphash.Hash
	hash.SetSeed(seed)
	buffer := make([]byte, 0, 4*lineMax)
	for {
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		rest := buffer
		for end := bytes.IndexByte(rest, '\n'); end >= 0; end = bytes.IndexByte(rest, '\n') {
			_, _ = hash.Write(lasting(rest[:end])) // it never fails
			_ = hash.WriteByte('\n')
			rest = rest[end+1:]
		}
		switch {
		case err == io.EOF:
			_, _ = hash.Write(lasting(rest))
			return hash.Sum64(), nil
		case err != nil:
			return 0, err
		case len(rest) > lineMax:
			return 0, fmt.Errorf("a line of more than %d bytes", lineMax)
		}
		buffer = buffer[:copy(buffer[:cap(buffer)], rest)]
		runtime.Gosched() // as parseSnapshot does
	}
}

// lasting returns a line without the counters: of a real server that is
// "  -> 0A4D000B:0CEA      Route   3      0          0", with the weight as the fourth field.
func lasting(line []byte) []byte {
	const arrow = "  -> "
	if !bytes.HasPrefix(line, []byte(arrow)) {
		return line
	}
	at := len(arrow)
	for range 3 { // address, forwarding method, weight
		for at < len(line) && line[at] == ' ' {
			at++
		}
		for at < len(line) && line[at] != ' ' {
			at++
		}
	}
	return line[:at]
}
