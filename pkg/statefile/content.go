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
	// unreadableName is the name that an unreadable state file is renamed to, so that an administrator can examine it.
	unreadableName = fileName + ".unreadable"
	// maxBytes is the maximum size of a file that is read: ten thousand services take about 1 MB.
	maxBytes = 16 << 20
)

// Sysctl is a kernel parameter that was changed: the value that the machine had before, and ours. At the end the former
// is restored if the parameter still has the latter.
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

	Routes lenient[kernel.Route] `json:"routes,omitempty"`
	Rules  lenient[kernel.Rule]  `json:"rules,omitempty"`

	Links lenient[kernel.VirtualLink] `json:"links,omitempty"`

	SyncDaemons lenient[kernel.SyncDaemon] `json:"sync_daemons,omitempty"`

	Overrides overrides `json:"overrides,omitempty"`

	OnStandby onStandby `json:"on_standby,omitempty"`
}

// origin identifies what a content refers to: one network namespace in one boot.
type origin struct{ boot, net string }

// load reads a state file. A file that cannot be used is renamed to unreadableName and gives an empty content and a
// sentence about what was lost. The sentence is empty if nothing was: there is no file yet, or it is from another boot
// or network namespace, whose kernel state is gone or not ours; only the overrides and the pools on their standby servers are then kept.
func load(path string, here origin) (content, string) {
	empty := content{Version: version, BootID: here.boot, Net: here.net}
	lost := func(err error) (content, string) {
		text := fmt.Sprintf("state file %s: %v: the changes that an earlier run made to the kernel are not known, nor the overrides of operators", path, err)
		if renamed := filepath.Join(filepath.Dir(path), unreadableName); os.Rename(path, renamed) == nil {
			text += "; the file was renamed to " + renamed
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
	case info.Size() > maxBytes:
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
		empty.Overrides, empty.OnStandby = b.Overrides, b.OnStandby
		return empty, ""
	default:
		b.Net = here.net
		return b, ""
	}
}

// add merges another content into b and reports whether that added anything.
func (b *content) add(other content) bool {
	addressesNew := replace(&b.Addresses, slices.Concat(b.Addresses, other.Addresses), compareAddresses)
	services := replace(&b.Services, slices.Concat(b.Services, other.Services), lvs.Key.Compare)
	sysctls := replace(&b.Sysctls, merged(b.Sysctls, other.Sysctls), compareSysctls)
	routing := b.addRouting(other.Routes, other.Rules)
	links := replace(&b.Links, slices.Concat(b.Links, other.Links), compareLinks)
	daemons := replace(&b.SyncDaemons, slices.Concat(b.SyncDaemons, other.SyncDaemons), compareSyncDaemons)
	overridden := b.addOverrides(other.Overrides)
	return b.addOnStandby(other.OnStandby) || overridden || daemons || links || addressesNew || services || sysctls || routing
}

// save replaces the file atomically: a reader sees the old content or the new one, also after a power loss.
func (b *content) save(path string) error {
	data, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	// Without WithTempDir, renameio would try $TMPDIR, which may be on another file system.
	return renameio.WriteFile(path, append(data, '\n'), 0o640, renameio.WithTempDir(filepath.Dir(path)))
}

// sweep removes the temporary files of a daemon that was killed during save. The caller holds the lock, so no other
// process is writing.
func sweep(dir string) {
	unfinished, err := filepath.Glob(filepath.Join(dir, "."+fileName+"*"))
	if err != nil {
		return
	}
	for _, path := range unfinished {
		_ = os.Remove(path) // a leftover does no harm
	}
}

func compareAddresses(a, b kernel.IfAddr) int {
	return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Prefix.Compare(b.Prefix))
}

func compareSysctls(s, b Sysctl) int { return cmp.Compare(s.Key, b.Key) }

// replace replaces a list and reports whether that changed it. Lists are sorted and have no duplicates, so that the
// same entries give the same file.
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

// without returns a list without some of its entries.
func without[T comparable](list, gone []T) []T {
	out := make(map[T]bool, len(gone))
	for _, g := range gone {
		out[g] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(t T) bool { return out[t] })
}

// merged adds sysctls to a list. A key keeps its first Found and gets the last Wrote.
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
