package config

// The keys of each kind of mapping. keepalived's words are listed because most readers come from there.

func keepalived(instead string) word {
	return word{message: "is keepalived's word", hint: "write " + instead, instead: instead}
}

func keepalivedFor(key, example string) word {
	return word{message: "is keepalived's word", hint: "write " + example, instead: key}
}

func needless(message string) word { return word{message: message, hint: "remove it"} }

var noSecrets = word{
	message: "a secret never stands in the cluster file",
	hint:    "write it to a file of mode 0600 and name that: password_file: /etc/lvs-director/check.password",
	instead: "password_file",
}

// sections returns every section, for keys that stand in the wrong one.
func sections() []*section {
	return []*section{
		topSection, directorSection, instanceSection, virtualServerSection, realServerSection,
		persistenceSection, checkSection, trackSection,
	}
}

var topSection = &section{
	place: "the top level",
	keys:  []string{"version", "directors", "vrrp_instances", "virtual_servers", "tracks"},
	reserved: []string{
		"sync_groups", "notify", "mail", "connection_sync", "sysctls", "peer", "servers", "mysql_groups", "api", "metrics",
		"startup_delay", "on_stop",
	},
	words: map[string]word{
		"vrrp_instance":   keepalived("vrrp_instances"),
		"virtual_server":  keepalived("virtual_servers"),
		"vrrp_script":     keepalived("tracks"),
		"vrrp_sync_group": {message: "is keepalived's word for sync_groups, which this version does not support yet", hint: "remove it"},
		"global_defs":     needless("is keepalived's word: there are no global settings"),
		"real_servers":    {message: "unknown key", hint: "it belongs to virtual_servers", instead: ""},
		"instances":       {message: "unknown key", hint: "write vrrp_instances", instead: "vrrp_instances"},
		"services":        {message: "unknown key", hint: "write virtual_servers", instead: "virtual_servers"},
	},
}

var directorSection = &section{
	place:    "directors",
	keys:     []string{"name", "address"},
	reserved: []string{"startup_delay", "on_stop", "notify"},
	words: map[string]word{
		"router_id": keepalived("name"),
		"ip":        {message: "unknown key", hint: "write address", instead: "address"},
		"priority":  {message: "unknown key", hint: "write it in vrrp_instances, under per_node"},
		"state":     stateIsElected,
	},
}

var stateIsElected = needless("the state is elected, not configured: the highest priority wins")

var instanceSection = &section{
	place: "vrrp_instances",
	keys: []string{
		"name", "interface", "virtual_router_id", "protocol_version", "advert_interval", "priority", "preempt",
		"preempt_delay", "virtual_addresses", "lease", "tracks", "per_node",
	},
	reserved: []string{"unicast_peers", "unicast_source", "startup_delay", "on_stop", "notify"},
	words:    instanceWords,
}

var instanceWords = map[string]word{
	"state":                      stateIsElected,
	"virtual_ipaddress":          keepalived("virtual_addresses"),
	"virtual_ipaddress_excluded": {message: "is keepalived's word: every virtual address is in the adverts", hint: "write virtual_addresses", instead: "virtual_addresses"},
	"vip":                        {message: "unknown key", hint: "write virtual_addresses", instead: "virtual_addresses"},
	"address":                    {message: "unknown key", hint: "write virtual_addresses", instead: "virtual_addresses"},
	"addresses":                  {message: "unknown key", hint: "write virtual_addresses", instead: "virtual_addresses"},
	"advert_int":                 keepalived("advert_interval"),
	"version":                    keepalived("protocol_version"),
	"vrid":                       {message: "unknown key", hint: "write virtual_router_id", instead: "virtual_router_id"},
	"nopreempt":                  keepalivedFor("preempt", "preempt: false"),
	"authentication":             noAuthentication,
	"auth_type":                  noAuthentication,
	"auth_pass":                  noAuthentication,
	"track_script":               keepalived("tracks"),
	"track_interface":            needless("is keepalived's word: the instance's interface is always watched"),
	"unicast_peer":               {message: "is keepalived's word for unicast_peers, which this version does not support yet", hint: "remove it"},
	"unicast_src_ip":             {message: "is keepalived's word for unicast_source, which this version does not support yet", hint: "remove it"},
	"mcast_src_ip":               needless("is keepalived's word: adverts come from the director's address"),
	"garp_master_delay":          needless("is keepalived's word: gratuitous ARP is repeated without being told"),
	"garp_master_refresh":        needless("is keepalived's word: gratuitous ARP is repeated without being told"),
	"notify_master":              notifyIsReserved,
	"notify_backup":              notifyIsReserved,
	"notify_fault":               notifyIsReserved,
	"smtp_alert":                 {message: "is keepalived's word for mail, which this version does not support yet", hint: "remove it"},
}

var noAuthentication = needless("VRRPv3 has no authentication, and VRRPv2's password travels in clear text: neither is supported")

var notifyIsReserved = word{message: "is keepalived's word for notify, which this version does not support yet", hint: "remove it"}

var overrideSection = &section{
	place:    "per_node",
	keys:     []string{"interface", "priority", "preempt", "preempt_delay", "tracks"},
	reserved: []string{"unicast_source", "unicast_peers", "startup_delay", "notify"},
	words: map[string]word{
		"virtual_router_id": mustAgree,
		"virtual_addresses": mustAgree,
		"protocol_version":  mustAgree,
		"advert_interval":   mustAgree,
		"lease":             {message: "is the same on every director", hint: "write it in the instance itself"},
		"name":              {message: "is the same on every director", hint: "write it in the instance itself"},
		"state":             stateIsElected,
		"nopreempt":         keepalivedFor("preempt", "preempt: false"),
	},
}

var mustAgree = word{
	message: "must be the same on every director, or both may become MASTER",
	hint:    "write it in the instance itself",
}

var virtualServerSection = &section{
	place: "virtual_servers",
	keys: []string{
		"name", "address", "port", "protocol", "scheduler", "forward", "initial_state", "persistence", "checks",
		"real_servers",
	},
	reserved: []string{"fwmark", "sorry_server", "on_failure", "quorum", "hysteresis", "inhibit_on_failure", "notify"},
	words: map[string]word{
		"ip":                      {message: "unknown key", hint: "write address", instead: "address"},
		"vip":                     {message: "unknown key", hint: "write address", instead: "address"},
		"lb_algo":                 keepalived("scheduler"),
		"lvs_sched":               keepalived("scheduler"),
		"lb_kind":                 keepalived("forward"),
		"lvs_method":              keepalived("forward"),
		"delay_loop":              keepalivedFor("", "interval in each check"),
		"connect_timeout":         keepalivedFor("", "timeout in each check"),
		"persistence_timeout":     keepalivedFor("persistence", "persistence: {timeout: 50s}"),
		"persistence_granularity": keepalivedFor("persistence", "persistence: {timeout: 50s, netmask: 24}"),
		"nat_mask":                needless("is keepalived's word, and means nothing since Linux 2.4"),
		"real_server":             keepalived("real_servers"),
		"servers":                 {message: "unknown key", hint: "write real_servers", instead: "real_servers"},
		"alpha":                   keepalivedFor("initial_state", "initial_state: down, which is the default"),
		"ha_suspend":              needless("is keepalived's word: both directors check all the time"),
		"check":                   {message: "unknown key", hint: "write checks, a list", instead: "checks"},
		"tcp_check":               keepalivedFor("checks", "checks: [{type: tcp}]"),
		"misc_check":              keepalivedFor("checks", "checks: [{type: mysql, user: lvs_check, password_file: /etc/lvs-director/check.password}]"),
		"weight":                  {message: "unknown key", hint: "write it in each of real_servers"},
	},
}

var realServerSection = &section{
	place:    "real_servers",
	keys:     []string{"name", "address", "port", "weight", "checks"},
	reserved: []string{"inhibit_on_failure", "notify"},
	words: map[string]word{
		"ip":              {message: "unknown key", hint: "write address", instead: "address"},
		"forward":         needless("the virtual server's forward holds for all of its real servers"),
		"lvs_method":      needless("is keepalived's word: the virtual server's forward holds for all of its real servers"),
		"check":           {message: "unknown key", hint: "write checks, a list", instead: "checks"},
		"tcp_check":       keepalivedFor("checks", "checks: [{type: tcp}]"),
		"misc_check":      keepalivedFor("checks", "checks: [{type: mysql, user: lvs_check, password_file: /etc/lvs-director/check.password}]"),
		"connect_timeout": keepalivedFor("", "timeout in a check"),
		"notify_up":       notifyIsReserved,
		"notify_down":     notifyIsReserved,
	},
}

var persistenceSection = &section{
	place: "persistence",
	keys:  []string{"timeout", "netmask"},
	words: map[string]word{"granularity": keepalived("netmask")},
}

// checkKeys are the keys that a check and a track share.
var checkKeys = []string{"type", "interval", "timeout", "fall", "rise", "port", "user", "password_file"}

var checkWords = map[string]word{
	"password":           noSecrets,
	"pass":               noSecrets,
	"username":           {message: "unknown key", hint: "write user", instead: "user"},
	"connect_timeout":    keepalived("timeout"),
	"misc_timeout":       keepalived("timeout"),
	"connect_port":       keepalived("port"),
	"delay_loop":         keepalived("interval"),
	"delay_before_retry": keepalived("interval"),
	"retry":              keepalived("fall"),
	"nb_get_retry":       keepalived("fall"),
	"misc_path":          keepalivedFor("type", "type: mysql with user and password_file"),
	"script":             keepalivedFor("type", "type: mysql with user and password_file"),
	"weight":             needless("a check does not change a weight: a server is up or down"),
}

var checkSection = &section{place: "checks", keys: checkKeys, words: checkWords}

var trackSection = &section{
	place: "tracks",
	keys:  append([]string{"name", "address"}, checkKeys...),
	words: checkWords,
}
