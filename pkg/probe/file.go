package probe

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// longestFile is how much of a file is read, in bytes.
const longestFile = 64

func (p *prober) File(c config.FileCheck) {
	watch := start(p.ctx, "file")
	text, err := readNumber(c.Path)
	if err != nil {
		p.result = watch.result(health.Unreadable, health.Unknown, err.Error()+" (let the daemon read it, or remove it)")
		return
	}
	n, ok := number(text)
	p.target.log("%s has %q", c.Path, text)
	switch {
	case !ok:
		p.result = watch.result(health.Unreadable, health.Unknown, c.Path+" has "+excerpt(string(text))+", which is no whole number from -65535 to 65535 (write one, or remove the file)")
	case c.SetsWeight && n >= 0:
		p.result = watch.good(c.Path + " has the number " + strconv.Itoa(n))
		p.result.Weighted, p.result.Weight = len(bytes.TrimSpace(text)) > 0, uint16(n)
	case n != 0:
		p.result = watch.result(health.Failed, health.Bad, c.Path+" has the number "+strconv.Itoa(n)+" (write 0 to bring the server back)")
	default:
		p.result = watch.good(c.Path + " has the number 0")
	}
}

// readNumber returns the beginning of a file, and nothing for a file that is not there. A FIFO does not block it.
func readNumber(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(path + " is not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, longestFile+1))
}

// number parses the content of a file; nothing is 0.
func number(text []byte) (n int, ok bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return 0, true
	}
	n, err := strconv.Atoi(string(text))
	return n, err == nil && -65535 <= n && n <= 65535
}
