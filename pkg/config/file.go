package config

import "time"

// clusterFile has the sections of the cluster file that this version supports.
type clusterFile struct {
	top      *sectionOf[contents]
	sections []*section // all, outer ones first
}

// newClusterFile declares the cluster file.
func newClusterFile() *clusterFile { return declareFile(checkKinds(), instanceFields()) }

// declareFile declares a cluster file with these kinds of checks and these instance keys. Tests pass additional ones.
func declareFile(kinds []checkKind, ofInstance []key[instance]) *clusterFile {
	checks := checkSection(kinds)
	f := &clusterFile{top: topSection(instanceSection(ofInstance), virtualServerSection(checks), trackSection(checks, trackKinds(checks, kinds)))}
	f.top.walk(func(s *section) { f.sections = append(f.sections, s) })
	return f
}

// contents is the content of a file with the position of each part, before the rules across sections are applied.
type contents struct {
	version     int
	directors   []placed[Director]
	instances   []placed[instance]
	services    []placed[virtualServer]
	tracks      []placed[track]
	bfd         []placed[BFDSession]
	groups      []placed[syncGroup]
	timeouts    Timeouts
	hooks       []Hook
	mail        Mail
	metrics     Metrics
	api         API
	stopTimeout time.Duration
	// maintenanceDir is "" without one.
	maintenanceDir string
	// startupDelay is that of instances that have none, and whose group has none.
	startupDelay time.Duration
	sync         *placed[ConnectionSync] // nil: none
}

func topSection(instances *sectionOf[instance], services *sectionOf[virtualServer], tracks *sectionOf[track]) *sectionOf[contents] {
	directors := directorSection()
	s := &sectionOf[contents]{
		section: section{
			place:    "the top level",
			what:     "a mapping that begins with version: 1",
			reserved: topReserved(),
			words: []word{
				needless("is keepalived's word: its settings are keys of the instances, or of the top level", "global_defs"),
				needless("is keepalived's word: what does not move belongs to the network configuration of the machine", "static_ipaddress", "static_routes", "static_rules"),
				needless("is keepalived's word: a virtual server has addresses and ports", "virtual_server_group"),
				{names: []string{"real_servers"}, hint: "it belongs to virtual_servers"},
			},
		},
		rules: func(c *contents, o object) { c.validate(o) },
	}
	s.fields = []key[contents]{
		&field[contents, int]{
			name: "version", kind: formatVersion(), in: func(c *contents) *int { return &c.version },
			required: "1", doc: "the version of the format",
		},
		&field[contents, []placed[Director]]{
			name: "directors", in: func(c *contents) *[]placed[Director] { return &c.directors },
			kind:     mappingsOf(&directors.section, 1, func(v value) []placed[Director] { return readDirectors(v, directors) }),
			required: "the machines that may hold the virtual addresses, each with name and address",
			doc:      "the machines that may hold the virtual addresses, at least one",
		},
		&field[contents, []placed[instance]]{
			name: "vrrp_instances", in: func(c *contents) *[]placed[instance] { return &c.instances },
			kind:   mappingsOf[placed[instance]](&instances.section, 1, nil),
			readAs: func(v value, c *contents) []placed[instance] { return readInstances(v, instances, c.directors) },
			unset:  "none", doc: "the sets of virtual addresses that move between directors",
			words: []word{keepalived("vrrp_instance"), synonyms("instances")},
		},
		&field[contents, []placed[virtualServer]]{
			name: "virtual_servers", in: func(c *contents) *[]placed[virtualServer] { return &c.services },
			kind:  mappingsOf(&services.section, 1, func(v value) []placed[virtualServer] { return readVirtualServers(v, services) }),
			unset: "none", doc: "the addresses and ports that are balanced",
			words: []word{keepalived("virtual_server"), synonyms("services")},
		},
		&field[contents, []placed[track]]{
			name: "tracks", in: func(c *contents) *[]placed[track] { return &c.tracks },
			kind:  mappingsOf(&tracks.section, 0, func(v value) []placed[track] { return readTracks(v, tracks) }),
			unset: "none", doc: "what instances depend on: checks, processes, files, interfaces",
			words: []word{keepalived("vrrp_script", "vrrp_track_process", "track_process", "vrrp_track_file", "track_file")},
		},
		bfdField(bfdSection()),
		syncGroupField(syncGroupSection()),
		timeoutsField(timeoutsSection()),
		hooksField(func(c *contents) *[]Hook { return &c.hooks }, oneForAll),
		mailField(mailSection()),
		metricsField(metricsSection()), apiField(apiSection()),
		connectionSyncField(connectionSyncSection()),
		stopTimeoutField(),
		maintenanceDirField(),
		commonStartupDelayField(),
	}
	s.schema = topSchema
	return s.build()
}

func topSchema() Schema {
	return Schema{AnyOf: []*Schema{{Required: []string{"vrrp_instances"}}, {Required: []string{"virtual_servers"}}}}
}

func topReserved() []later {
	return []later{
		{name: "sysctls", doc: "kernel settings to leave unchanged or to set differently"},
		{name: "peer", doc: "a channel between directors in addition to VRRP"},
		{name: "servers", doc: "real server hosts with options for the agent, by name"},
		{name: "mysql_groups", doc: "MySQL servers that replicate, and their roles"},
		{name: "on_stop", doc: onStop},
	}
}

// formatVersion is always 1: checkVersion has rejected anything else.
func formatVersion() kind[int] {
	return scalar("`1`", Schema{Type: "integer", Enum: []any{1}}, func(value) int { return 1 })
}

// Descriptions of keys that are reserved in several sections.
const (
	startupDelay  = "a time after the start in which no address is taken over"
	onStop        = "whether a graceful stop removes everything from the kernel"
	notifyChanges = "programs to run at state changes"
)
