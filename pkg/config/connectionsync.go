package config

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// ConnectionSync is how directors tell each other about connections, so that these survive a failover.
type ConnectionSync struct {
	Interface   string     // "": that of the instance that is followed, or of the first one; see Config.ForNode
	InterfaceAt Position   `json:"-"`
	Instance    string     // whose state decides the role; "": both roles at all times
	ID          uint8      // of the messages; 0: those of every id are accepted
	Group       netip.Addr // multicast, IPv4
	Port        uint16
	TTL         uint8
	MaxLen      uint16 // bytes; 0: the kernel's choice
	Threshold   int    // packets
	Period      int    // packets; 0: only Refresh counts
	Refresh     time.Duration
	WarmTimeout time.Duration // 0: no wait
}

// The default group and port are those of the kernel (net/netfilter/ipvs/ip_vs_sync.c).
var defaultSyncGroup = netip.MustParseAddr("224.0.0.81")

const (
	defaultSyncPort = 8848
	minSyncMaxLen   = 1024 // of the kernel, for a daemon that learns
	maxSyncMaxLen   = 65507
	maxSyncPackets  = 1 << 20
	maxSyncTime     = time.Hour
	// defaultSyncRefresh is how often a connection in use is sent again. A standby that has just started knows all of
	// these after this time.
	defaultSyncRefresh = 10 * time.Second
	// A director that has started is warm after 6 s, if it hears the MASTER. Its wait ends within that for its checks.
	defaultSyncWarmTimeout = 10 * time.Second
	maxSyncWarmTimeout     = 30 * time.Second
)

func connectionSyncSection() *sectionOf[ConnectionSync] {
	s := &sectionOf[ConnectionSync]{section: section{
		name: "connection_sync", what: "a mapping, {} for the defaults",
		intro: "The directors tell each other about their connections, so that these survive a failover: the kernel's own protocol,\n" +
			"which ipvsadm and keepalived use too. See [failover.md](failover.md#connection-synchronization). The messages are not\n" +
			"authenticated: use a network that nobody else can send to.",
		words: []word{
			needless("is keepalived's word: each director takes both roles at all times, or, with instance, that of its state", "role", "roles", "state", "both"),
		},
	}}
	s.fields = append(syncPlaceFields(), syncPaceFields()...)
	s.rules = func(c *ConnectionSync, o object) {
		switch {
		case c.Period > 0 && c.Threshold >= c.Period:
			o.locate("threshold").fail("", "must be less than period (%d)", c.Period)
		case c.Period == 0 && c.Refresh == 0 && c.Threshold == 0:
			o.locate("refresh_period").fail("write refresh_period: 10s, or a threshold", "without threshold, period and refresh_period no open connection is sent")
		}
		if c.Group.Is6() {
			o.locate("group").fail("write 224.0.0.81 or another group of IPv4", "IPv6 is not supported here yet")
		}
	}
	return s.build()
}

// syncPaceFields are the keys that say when a connection is sent.
func syncPaceFields() []key[ConnectionSync] {
	number := func(name string, in func(*ConnectionSync) *int, doc string, words ...word) key[ConnectionSync] {
		return &field[ConnectionSync, int]{name: name, kind: wholeNumber[int](0, maxSyncPackets), in: in, doc: doc, reload: Live, words: words}
	}
	return []key[ConnectionSync]{
		number("threshold", func(c *ConnectionSync) *int { return &c.Threshold },
			"with `period`: the number of packets from the client after which a connection is sent for the first time (sysctl `sync_threshold`)", synonyms("sync_threshold")),
		number("period", func(c *ConnectionSync) *int { return &c.Period },
			"the number of packets after which it is sent again; `0`: an established connection is sent at once, and again after `refresh_period`", synonyms("sync_period")),
		&field[ConnectionSync, time.Duration]{
			name: "refresh_period", kind: secondsIn(0, maxSyncTime), in: func(c *ConnectionSync) *time.Duration { return &c.Refresh }, reload: Live,
			def: defaultSyncRefresh, doc: "the time after which a connection is sent again with its next packet (sysctl `sync_refresh_period`)", words: []word{synonyms("sync_refresh_period")},
		},
		&field[ConnectionSync, time.Duration]{
			name: "sync_warm_timeout", kind: durationIn(0, maxSyncWarmTimeout), in: func(c *ConnectionSync) *time.Duration { return &c.WarmTimeout }, reload: Live,
			def: defaultSyncWarmTimeout, doc: "how long after its start a director does not preempt because it has not yet learned the connections of the MASTER; `0s`: it does not wait",
			words: []word{synonyms("warm_timeout")},
		},
	}
}

// syncPlaceFields are the keys that say where the messages go.
func syncPlaceFields() []key[ConnectionSync] {
	return []key[ConnectionSync]{
		&field[ConnectionSync, string]{
			name: "interface", kind: texts("text", Schema{}, value.device), in: func(c *ConnectionSync) *string { return &c.Interface }, reload: Live,
			unset: "that of `instance`, or of the first instance", doc: "the interface on which the messages are sent and received; one that only directors are connected to is best",
			words: []word{synonyms("mcast_interface", "device")},
		},
		&field[ConnectionSync, string]{
			name: "instance", kind: nodeName, in: func(c *ConnectionSync) *string { return &c.Instance }, reload: Live,
			unset: "none", doc: "the VRRP instance whose MASTER sends and whose other directors only receive. Without it each director always does both, " +
				"which is needed if both have connections at a time, and loses no messages while the roles change",
			words: []word{synonyms("vrrp_instance", "inst")},
		},
		&field[ConnectionSync, uint8]{
			name: "id", kind: wholeNumber[uint8](0, 255), in: func(c *ConnectionSync) *uint8 { return &c.ID }, reload: Live,
			unset: "the `virtual_router_id` of `instance`, or of the first instance",
			doc:   "the number of this cluster in the messages, the same on all directors; others are ignored. `0` accepts every one",
			words: []word{synonyms("syncid", "sync_id")},
		},
		&field[ConnectionSync, netip.Addr]{
			name: "group", kind: multicastGroup(), in: func(c *ConnectionSync) *netip.Addr { return &c.Group }, reload: Live,
			def: defaultSyncGroup, unset: "`224.0.0.81`", doc: "the multicast group of the messages, IPv4", words: []word{synonyms("mcast_group")},
		},
		&field[ConnectionSync, uint16]{
			name: "port", kind: wholeNumber[uint16](1, 65535), in: func(c *ConnectionSync) *uint16 { return &c.Port }, reload: Live,
			def: defaultSyncPort, doc: "the UDP port of the messages", words: []word{synonyms("mcast_port")},
		},
		&field[ConnectionSync, uint8]{
			name: "ttl", kind: wholeNumber[uint8](1, 255), in: func(c *ConnectionSync) *uint8 { return &c.TTL }, reload: Live,
			def: 1, doc: "the TTL of the messages: `1` keeps them on the network of the interface", words: []word{synonyms("mcast_ttl")},
		},
		&field[ConnectionSync, uint16]{
			name: "maxlen", kind: wholeNumber[uint16](minSyncMaxLen, maxSyncMaxLen), in: func(c *ConnectionSync) *uint16 { return &c.MaxLen }, reload: Live,
			unset: "what the kernel chooses: `1472`, or for received messages what the MTU allows",
			doc:   "the size of the largest message in bytes; larger ones are lost on a director with a smaller value", words: []word{synonyms("sync_maxlen", "max_length")},
		},
	}
}

func connectionSyncField(s *sectionOf[ConnectionSync]) key[contents] {
	return &field[contents, *placed[ConnectionSync]]{
		name: "connection_sync", in: func(c *contents) **placed[ConnectionSync] { return &c.sync },
		kind: kind[*placed[ConnectionSync]]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) *placed[ConnectionSync] {
				o, ok := v.object(&s.section)
				if !ok {
					return nil
				}
				c := &placed[ConnectionSync]{at: o}
				s.take(o, &c.v)
				return c
			},
		},
		unset: "none", doc: "copies of the connections on the other directors, so that they survive a failover",
		words: []word{keepalived("lvs_sync_daemon").write("`connection_sync: {instance: mysql}`")},
	}
}

// resolveConnectionSync finds the instance that is followed, and fills in what depends on it.
func (c *contents) resolveConnectionSync() {
	if c.sync == nil {
		return
	}
	s, o := &c.sync.v, c.sync.at
	s.InterfaceAt = o.locate("interface").position()
	if len(c.instances) == 0 || len(c.services) == 0 {
		o.fail("add them, or remove it", "needs vrrp_instances and virtual_servers")
		return
	}
	of := 0
	if s.Instance != "" {
		var names []string
		for _, i := range c.instances {
			names = append(names, i.v.Name)
		}
		if of = slices.Index(names, s.Instance); of < 0 {
			o.locate("instance").fail(cmp.Or(didYouMean(s.Instance, names), "add it to vrrp_instances"), "no instance is named %s", quote(s.Instance))
			return
		}
		if len(c.instances) > 1 && !c.together(s.Instance) {
			o.locate("instance").warn("remove instance, so that each director does both", "the connections of other instances are not sent while another director has those of %s", s.Instance)
		}
	}
	if o.missing("id") {
		s.ID = c.instances[of].v.VRID
	}
}

// together reports whether all instances are in the sync group of this one.
func (c *contents) together(instance string) bool {
	return slices.ContainsFunc(c.groups, func(g placed[syncGroup]) bool {
		return slices.Contains(g.v.Instances, instance) && len(g.v.Instances) == len(c.instances)
	})
}

// forNode fills in the interface of a director.
func (s ConnectionSync) forNode(own []Instance) *ConnectionSync {
	for _, i := range own {
		if s.Interface == "" && (s.Instance == "" || s.Instance == i.Name) {
			s.Interface = i.Interface
		}
	}
	return &s
}
