package ctl

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// local is a daemon of this machine.
type local struct{ socket, unit string }

// The two daemons with their default sockets.
var (
	theDirector = local{"/run/lvs-director/director.sock", "lvs-director"}
	theAgent    = local{"/run/lvs-director/realserver.sock", "lvs-realserver"}
)

// client returns a client of the local daemon.
func (f *flags) client() *api.Client { return f.clientOf(f.local()) }

// clientOf returns a client of a daemon of this machine.
func (f *flags) clientOf(l local) *api.Client {
	c := api.NewClient(l.socket)
	c.Unit, c.Timeout, c.Sudo = l.unit, f.timeout, os.Getenv("SUDO_USER")
	return c
}

// path is the socket of the daemon that client selects.
func (f *flags) path() string { return f.local().socket }

func (f *flags) local() local {
	return choose(f.socket, isSocket, sync.OnceValue(clusterFile), daemon.Names(""))
}

// choose returns the daemon that lvsctl talks to: that of --socket, else the one whose socket exists, else the one that
// the cluster file wants on a machine with one of these names. The director comes first on a machine that has both, and
// if nothing is known. file returns nil if there is no usable cluster file.
func choose(socket string, exists func(path string) bool, file func() *config.Config, names []string) local {
	switch {
	case socket != "" && filepath.Base(socket) == filepath.Base(theAgent.socket):
		return local{socket, theAgent.unit}
	case socket != "":
		return local{socket, theDirector.unit}
	case exists(theDirector.socket):
		return theDirector
	case exists(theAgent.socket):
		return theAgent
	}
	cfg := file()
	if cfg == nil {
		return theDirector
	}
	if _, err := cfg.DirectorNamed(names...); err == nil {
		return theDirector
	}
	if _, err := cfg.RealServersNamed(names...); err == nil {
		return theAgent
	}
	return theDirector
}

// daemons are those that doctor and bundle ask: that of --socket, or each of this machine that has a socket or that the
// cluster file wants here.
func (f *flags) daemons() []local {
	if f.socket != "" {
		return []local{f.local()}
	}
	return wanted(isSocket, clusterFile(), daemon.Names(""))
}

// wanted returns the daemons that run here or should; the director if there is no sign of either. cfg is nil if there is no
// usable cluster file.
func wanted(exists func(path string) bool, cfg *config.Config, names []string) []local {
	director, agent := exists(theDirector.socket), exists(theAgent.socket)
	if cfg != nil {
		_, notDirector := cfg.DirectorNamed(names...)
		_, notServer := cfg.RealServersNamed(names...)
		director, agent = director || notDirector == nil, agent || notServer == nil
	}
	switch {
	case director && agent:
		return []local{theDirector, theAgent}
	case agent:
		return []local{theAgent}
	default:
		return []local{theDirector}
	}
}

// isSocket reports whether there is a socket, or something that may not be looked at.
func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket || os.IsPermission(err)
}

// clusterFile returns the cluster file at its default path; nil if it cannot be used.
func clusterFile() *config.Config {
	f, err := clusterfile.Read(daemon.DefaultConfig)
	if err != nil {
		return nil
	}
	return f.Config
}
