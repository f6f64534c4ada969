package migration

import (
	"maps"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// reader reads one source.
type reader struct {
	files    []File
	kind     Kind   // of the file that is being read
	node     string // the director's name
	options  Options
	verdicts map[*conftree.Statement]judgement

	global       *globals
	scripts      map[string]*track // all kinds of tracks that are declared, by kind and name
	declared     []*track
	delays       map[string]*linkDelay // interface_up_down_delays, by interface
	instances    []*instance
	groups       []*group
	services     []*service
	pools        map[string]*pool      // virtual_server_group
	table        map[endpoint]*service // of ipvsadm
	sessions     map[string]*session   // bfd_instance
	sessionList  []*session
	rulesWithout int        // rules without a priority
	added        []*service // those of table, in the order of the file
	timeouts     *object    // of ipvsadm --set
	// maintenance is the directory of ldirectord's maintenancedir; "" if there is none
	maintenance   string
	maintenanceAt *conftree.Statement
	secrets       []password
	unknown       []string
	expanded      int // real servers of ldirectord
	hints         int
	names         map[string]bool // of instances
}

// reference are the words of keepalived in the reference of the cluster file, by section.
var reference = func() map[string]map[string]config.KeepalivedWord {
	all := map[string]map[string]config.KeepalivedWord{}
	for _, w := range config.KeepalivedWords() {
		if all[w.Section] == nil {
			all[w.Section] = map[string]config.KeepalivedWord{}
		}
		for _, n := range w.Names {
			all[w.Section][n] = w
		}
	}
	return all
}()

// top are the blocks of a file.
var top words[*reader]

func init() {
	top = words[*reader]{
		"global_defs": func(r *reader, _ *reader, s *conftree.Statement) {
			readBlock(r, s, r.global, globalWords, "top level", "vrrp_instances", "notify", "mail", "directors")
		},
		"vrrp_instance":            func(r *reader, _ *reader, s *conftree.Statement) { r.readInstance(s) },
		"vrrp_script":              func(r *reader, _ *reader, s *conftree.Statement) { r.declare(s, "script", scriptWords) },
		"vrrp_track_process":       func(r *reader, _ *reader, s *conftree.Statement) { r.declare(s, "process", processWords) },
		"track_process":            func(r *reader, _ *reader, s *conftree.Statement) { r.declare(s, "process", processWords) },
		"vrrp_track_file":          func(r *reader, _ *reader, s *conftree.Statement) { r.declare(s, "file", fileWords) },
		"track_file":               func(r *reader, _ *reader, s *conftree.Statement) { r.declare(s, "file", fileWords) },
		"vrrp_sync_group":          func(r *reader, _ *reader, s *conftree.Statement) { r.readGroup(s) },
		"virtual_server":           func(r *reader, _ *reader, s *conftree.Statement) { r.readService(s) },
		"virtual_server_group":     func(r *reader, _ *reader, s *conftree.Statement) { r.readPool(s) },
		"bfd_instance":             func(r *reader, _ *reader, s *conftree.Statement) { r.readSession(s) },
		"static_ipaddress":         refused[*reader]("what does not move belongs to the network configuration of the machine"),
		"static_routes":            refused[*reader]("what does not move belongs to the network configuration of the machine"),
		"static_rules":             refused[*reader]("what does not move belongs to the network configuration of the machine"),
		"garp_group":               changed[*reader]("write announcements: {interval: …} if a switch limits ARP"),
		"net_namespace":            refused[*reader]("start the daemon there: NetworkNamespacePath= in the unit"),
		"net_namespace_ipvs":       refused[*reader]("IPVS and elections are in one network namespace here"),
		"instance":                 noEffect[*reader]("it names files of the keepalived process"),
		"use_pid_dir":              noEffect[*reader]("it names files of the keepalived process"),
		"child_wait_time":          noEffect[*reader]("there is one process here"),
		"track_group":              refused[*reader]("it is for static addresses"),
		"SSL":                      refused[*reader]("write ca_file and client_certificate_file in the checks of type https"),
		"linkbeat_use_polling":     changed[*reader]("the kernel reports the carrier of an interface"),
		"linkbeat_interfaces":      changed[*reader]("the kernel reports the carrier of an interface"),
		"interface_up_down_delays": func(r *reader, _ *reader, s *conftree.Statement) { r.readLinkDelays(s) },
	}
}

func newReader(s Source, o Options) *reader {
	r := &reader{
		files: s.Files, node: s.Node, table: map[endpoint]*service{}, sessions: map[string]*session{}, options: o, verdicts: map[*conftree.Statement]judgement{},
		scripts: map[string]*track{}, delays: map[string]*linkDelay{}, pools: map[string]*pool{}, names: map[string]bool{},
	}
	r.global = &globals{instance: &object{}, sync: &object{}}
	return r
}

// read reads the files, and then what depends on several of their blocks.
func (r *reader) read() {
	for _, f := range r.files {
		switch r.kind = f.Kind; r.kind {
		case Keepalived:
			r.readKeepalived(f.Tree)
		case Ldirectord:
			r.readDirectord(f.Tree)
		case IPVSAdm:
			r.readTable(f.Tree)
		}
	}
	r.finish()
}

// readKeepalived reads the blocks in an order in which what is named is known: settings, tracks and groups of addresses
// first.
func (r *reader) readKeepalived(tree *conftree.Tree) {
	ranks := map[string]int{"global_defs": 1, "vrrp_script": 2, "vrrp_track_process": 2, "track_process": 2, "vrrp_track_file": 2, "track_file": 2, "bfd_instance": 2, "virtual_server_group": 2, "interface_up_down_delays": 2, "vrrp_instance": 3, "vrrp_sync_group": 4, "virtual_server": 5}
	for rank := range 6 {
		for _, s := range tree.Statements {
			if ranks[s.Keyword()] != rank {
				continue
			}
			if read := top[s.Keyword()]; read != nil {
				read(r, r, s)
				r.rest(s)
				continue
			}
			r.foreign(s, maps.Keys(top), []string{"top level"})
		}
	}
}

func (r *reader) finish() {
	for _, t := range r.declared {
		if !t.used {
			r.judge(t.at, NoEffect, "nothing tracks it, so keepalived does not use it")
		}
	}
	for _, i := range r.instances {
		r.finishInstance(i)
	}
	r.judgeLinkDelays()
	r.finishSessions()
	r.finishGlobals()
	if len(r.instances) == 0 && slices.ContainsFunc(r.files, func(f File) bool { return f.Kind != Keepalived }) {
		r.says("what moves the virtual addresses between the directors: write vrrp_instances, or import the keepalived.conf as well")
	}
}

// says adds something that the sources do not say.
func (r *reader) says(text string) {
	if !slices.Contains(r.unknown, text) {
		r.unknown = append(r.unknown, text)
	}
}

// name returns a text in the form of a name of the cluster file.
func name(text string) string {
	text = strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '-' {
			return c
		}
		return '-'
	}, text)
	return text[:min(len(text), 63)]
}
