package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		constant := func(name, text string, err error) Part {
			return Part{Name: name, Read: func(context.Context) ([]byte, error) { return []byte(text), err }}
		}
		var out bytes.Buffer
		began := time.Now()
		_, err := Write(t.Context(), &out, Index{Node: "lvs-master", Version: "1", Time: began}, []Part{
			constant("status.json", "{}", nil),
			constant("absent", "", errors.New("ipvsadm: not installed")),
			constant("half", "a part", errors.New("exit status 1")),
			constant("endless", strings.Repeat("x", MaxPart+1), nil),
			{Name: "hangs", Read: func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }},
			{Name: "hangs longer", Within: 2 * PartTime, Read: func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }},
		})
		if err != nil || time.Since(began) != 3*PartTime {
			t.Fatalf("%v after %s", err, time.Since(began))
		}
		all, err := Read(&out)
		if err != nil || string(all["status.json"]) != "{}" || string(all["half"]) != "a part" || len(all["endless"]) != MaxPart || len(all) != 4 {
			t.Fatalf("%v, %d parts", err, len(all))
		}
		var index Index
		if err := json.Unmarshal(all[IndexName], &index); err != nil {
			t.Fatal(err)
		}
		var errs []string
		for _, p := range index.Parts {
			errs = append(errs, p.Error)
		}
		if got := strings.Join(errs, "|"); got != "|ipvsadm: not installed|exit status 1||context deadline exceeded|context deadline exceeded" || !index.Parts[3].Cut || index.Node != "lvs-master" {
			t.Errorf("%q, %+v", got, index)
		}
	})
}

// TestEndedContext: what there was time for is in the bundle, and what is missing is in its index.
func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	index, err := Write(ctx, &out, Index{}, []Part{
		{Name: "first", Read: func(context.Context) ([]byte, error) { cancel(); return []byte("text"), nil }},
		{Name: "second", Read: func(ctx context.Context) ([]byte, error) { return nil, ctx.Err() }},
	})
	all, readErr := Read(&out)
	if err != nil || readErr != nil || string(all["first"]) != "text" || index.Parts[1].Error != context.Canceled.Error() {
		t.Errorf("%v, %v, %v", err, readErr, index)
	}
}

// TestTooLarge: an archive that is small only because it is compressed is refused.
func TestTooLarge(t *testing.T) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	for i := range 3 {
		if err := add(archive, fmt.Sprint(i), time.Time{}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(&out, 2999); err == nil || err.Error() != "no bundle: it has too much content" {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	var out bytes.Buffer
	if _, err := Write(context.Background(), &out, Index{}, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("text"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Read(bytes.NewReader(data))
		if (err == nil) != (all[IndexName] != nil) {
			t.Errorf("%v, %d parts", err, len(all))
		}
	})
}
