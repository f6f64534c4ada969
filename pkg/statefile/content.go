package statefile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

const (
	fileName = "state.json"
	// asideName is where a file is put that cannot be read: people may make something of it.
	asideName = fileName + ".unreadable"
	// mostBytes bounds what is read: ten thousand services are about 1 MB.
	mostBytes = 16 << 20
)

// Sysctl is a kernel setting that was changed: the value the machine had before, and ours. On the way out the former is
// given back if the latter still stands.
type Sysctl struct {
	Key   string `json:"key"`
	Found string `json:"found"`
	Wrote string `json:"wrote"`
}

// content is the content of the state file.
type content struct {
	Version   int       `json:"version"`
	BootID    string    `json:"boot_id"`
	Net       string    `json:"net,omitempty"` // the network namespace; "" is any
	Addresses addresses `json:"addresses,omitempty"`
	Services  services  `json:"services,omitempty"`
	Sysctls   []Sysctl  `json:"sysctls,omitempty"`
}

// home is what a content is about: one network namespace in one boot.
type home struct{ boot, net string }

// load reads a state file. Whatever cannot be used gives an empty content, and is put aside; the sentence says what was lost,
// and is empty when nothing was: no file yet, or one of another boot or network namespace, which is gone with all that
// was put into it, or not ours to touch.
func load(path string, here home) (content, string) {
	empty := content{Version: version, BootID: here.boot, Net: here.net}
	lost := func(err error) (content, string) {
		text := fmt.Sprintf("state file %s: %v: what an earlier run put into the kernel or found there is not known", path, err)
		if aside := filepath.Join(filepath.Dir(path), asideName); os.Rename(path, aside) == nil {
			text += "; the file is kept as " + aside
		}
		return empty, text
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return empty, ""
	case err != nil:
		return lost(err)
	case !info.Mode().IsRegular():
		return lost(errors.New("not a regular file"))
	case info.Size() > mostBytes:
		return lost(fmt.Errorf("%d bytes are too many", info.Size()))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return lost(err)
	}
	b, err := decode(data)
	switch {
	case err != nil:
		return lost(err)
	case b.BootID != here.boot, b.Net != "" && here.net != "" && b.Net != here.net:
		return empty, ""
	default:
		b.Net = here.net
		return b, ""
	}
}

// add enters what another content holds, and says whether that was new.
func (b *content) add(other content) bool {
	addressesNew := replace(&b.Addresses, slices.Concat(b.Addresses, other.Addresses), compareAddresses)
	services := replace(&b.Services, slices.Concat(b.Services, other.Services), lvs.Key.Compare)
	sysctls := replace(&b.Sysctls, merged(b.Sysctls, other.Sysctls), compareSysctls)
	return addressesNew || services || sysctls
}

// save writes the file so that a reader, also one after a power loss, sees the old content or the new one.
func (b *content) save(path string) error {
	data, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	// Without a directory of its own renameio would try $TMPDIR, which is on another file system.
	return renameio.WriteFile(path, append(data, '\n'), 0o640, renameio.WithTempDir(filepath.Dir(path)))
}

// sweep removes the unfinished files of a daemon that was killed while it saved. The lock is held: nobody else writes.
func sweep(dir string) {
	unfinished, err := filepath.Glob(filepath.Join(dir, "."+fileName+"*"))
	if err != nil {
		return
	}
	for _, path := range unfinished {
		_ = os.Remove(path) // in nobody's way
	}
}

func compareAddresses(a, b kernel.IfAddr) int {
	return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Prefix.Compare(b.Prefix))
}

func compareSysctls(s, b Sysctl) int { return cmp.Compare(s.Key, b.Key) }

// replace puts a new list in the place of an old one and says whether that changed anything. Lists are kept sorted and
// without duplicates, so that the same facts give the same file.
func replace[L ~[]T, T comparable](list *L, all []T, compare func(a, b T) int) bool {
	all = slices.Clone(all)
	slices.SortFunc(all, compare)
	all = slices.Compact(all)
	if slices.Equal(*list, all) {
		return false
	}
	*list = all
	return true
}

// without returns a list less some of its entries.
func without[T comparable](list, gone []T) []T {
	out := make(map[T]bool, len(gone))
	for _, g := range gone {
		out[g] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(t T) bool { return out[t] })
}

// merged adds sysctls to a list: the first value found of a key stays, the last one written counts.
func merged(list, more []Sysctl) []Sysctl {
	all := slices.Clone(list)
	at := make(map[string]int, len(all))
	for i, s := range all {
		at[s.Key] = i
	}
	for _, s := range more {
		if i, known := at[s.Key]; known {
			all[i].Wrote = s.Wrote
			continue
		}
		at[s.Key] = len(all)
		all = append(all, s)
	}
	return all
}
