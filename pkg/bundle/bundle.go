package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// The limits of a bundle.
const (
	// MaxPart is the size of a part in bytes. The end of what is larger is cut off.
	MaxPart = 4 << 20
	// PartTime is how long a part may take that does not say it.
	PartTime = 5 * time.Second
	// maxParts and maxBytes are how many parts are read, and how large they may be together.
	maxParts = 1000
	maxBytes = 128 << 20
)

// IndexName is the part that lists the others.
const IndexName = "index.json"

// Part is a file of the bundle.
type Part struct {
	Name string
	// Read returns the content. It must end when ctx does. What it returns beside an error is kept.
	Read func(ctx context.Context) ([]byte, error)
	// Within is how long it may take; 0: PartTime.
	Within time.Duration
}

// Entry is what became of a part.
type Entry struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Cut   bool   `json:"cut,omitempty"`   // it was larger than MaxPart
	Error string `json:"error,omitempty"` // why it is missing or not whole
}

// Index is the content of IndexName.
type Index struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Parts   []Entry   `json:"parts"`
}

// Write writes the parts in their order, and then the index, as a tar archive compressed with gzip. A part that fails is an
// entry with an error, and so is each one that is not read when ctx ends. The error is one of w.
func Write(ctx context.Context, w io.Writer, head Index, parts []Part) (Index, error) {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	head.Parts = []Entry{}
	for _, p := range parts {
		content, entry := read(ctx, p)
		head.Parts = append(head.Parts, entry)
		if len(content) == 0 {
			continue
		}
		if err := add(archive, p.Name, head.Time, content); err != nil {
			return head, err
		}
	}
	index, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return head, err
	}
	return head, errors.Join(add(archive, IndexName, head.Time, index), archive.Close(), compressed.Close())
}

// read returns the content of a part, cut to MaxPart.
func read(ctx context.Context, p Part) ([]byte, Entry) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Within, PartTime))
	defer cancel()
	content, err := p.Read(ctx)
	entry := Entry{Name: p.Name, Bytes: len(content)}
	if err != nil {
		entry.Error = err.Error()
	}
	if len(content) > MaxPart {
		content, entry.Cut = content[:MaxPart], true
	}
	return content, entry
}

func add(archive *tar.Writer, name string, at time.Time, content []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: at}); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// Read returns the parts of a bundle by their names. What is larger than Write makes it is an error.
func Read(r io.Reader) (map[string][]byte, error) { return readAll(r, maxBytes) }

// readAll reads at most left bytes; the holes of sparse files are among them.
func readAll(r io.Reader, left int64) (map[string][]byte, error) {
	compressed, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("no bundle: %w", err)
	}
	archive, all := tar.NewReader(io.LimitReader(compressed, left+maxParts<<10)), map[string][]byte{} // a header has at least 512 bytes
	for range maxParts {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			if all[IndexName] == nil {
				return nil, errors.New("no bundle: it has no " + IndexName)
			}
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("no bundle: %w", err)
		}
		var content bytes.Buffer
		n, err := io.Copy(&content, io.LimitReader(archive, MaxPart+1))
		switch left -= n; {
		case err != nil:
			return nil, fmt.Errorf("no bundle: %w", err)
		case n > MaxPart:
			return nil, fmt.Errorf("no bundle: %q has more than %d bytes", header.Name, MaxPart)
		case left < 0:
			return nil, errors.New("no bundle: it has too much content")
		}
		all[strings.TrimPrefix(header.Name, "./")] = content.Bytes()
	}
	return nil, fmt.Errorf("no bundle: it has more than %d files", maxParts)
}
