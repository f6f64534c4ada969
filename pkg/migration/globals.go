package migration

import (
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// globals are the settings of global_defs.
type globals struct {
	instance *object // defaults of the keys of instances; those of announcements have the prefix
	sync     *object // connection_sync
	timeouts *object
	startup  string
	user     []string // of scripts: user and group

	mails                     *conftree.Statement
	mailTo                    []string
	mailFrom, server, port    string
	mailTimeout               string
	alertVRRP                 bool
	alertKeywords, mailServer []*conftree.Statement
	used                      bool // a hook sends mails
	priorities                bool // notify tells changes of the priority
}

func (g *globals) keys() *object { return g.instance }

const process = "a setting of the keepalived process"

var globalWords = words[*globals]{
	"router_id":          readRouterID,
	"notification_email": readRecipients,
	"notification_email_from": func(r *reader, g *globals, s *conftree.Statement) {
		g.mailFrom = mailAddress(s.Arg(1))
		g.mailServer = append(g.mailServer, s)
	},
	"smtp_server":              readMailServer,
	"smtp_connect_timeout":     readMailTimeout,
	"smtp_alert":               readAlert,
	"smtp_alert_vrrp":          readAlert,
	"smtp_alert_checker":       refused[*globals]("mails about real servers are not supported: see lvsctl events"),
	"no_email_faults":          changed[*globals]("mails are sent for FAULT, too"),
	"no_checker_emails":        always[*globals](""),
	"checker_log_all_failures": changed[*globals]("lvsctl explain shows the last failures of each check"),
	"script_user":              func(_ *reader, g *globals, s *conftree.Statement) { g.user = s.Args() },
	"enable_script_security":   always[*globals]("a program that runs as root must not be writable for others, always"),
	"use_symlink_paths":        noEffect[*globals](process), "set_supplementary_groups": noEffect[*globals](process),
	"startup_script":          refused[*globals]("write ExecStartPre= in the unit"),
	"startup_script_timeout":  refused[*globals]("see startup_script"),
	"shutdown_script":         refused[*globals]("write ExecStopPost= in the unit, or a hook for pre_stop"),
	"shutdown_script_timeout": refused[*globals]("see shutdown_script"),

	"vrrp_version": numberTo[*globals]("protocol_version", 2, 3),
	"vrrp_mcast_group4": func(r *reader, g *globals, s *conftree.Statement) {
		r.set(g.instance, "multicast_group", s.Arg(1), s)
	},
	"vrrp_mcast_group6": func(r *reader, g *globals, s *conftree.Statement) {
		r.set(g.instance, "multicast_group6", s.Arg(1), s)
	},
	"vrrp_garp_master_repeat":         numberTo[*globals]("announcements.repeat", 1, 100),
	"vrrp_garp_master_delay":          changed[*globals](evenly),
	"vrrp_garp_lower_prio_repeat":     numberTo[*globals]("announcements.lower_priority_repeat", 1, 100),
	"vrrp_garp_lower_prio_delay":      changed[*globals](evenly),
	"vrrp_garp_master_refresh":        secondsTo[*globals]("announcements.refresh", 0, 86400),
	"vrrp_garp_master_refresh_repeat": numberTo[*globals]("announcements.refresh_repeat", 1, 100),
	"vrrp_garp_interval":              secondsTo[*globals]("announcements.interval", 0, 1),
	"vrrp_gna_interval":               secondsTo[*globals]("announcements.gna", 0, 1),
	"vrrp_min_garp":                   func(r *reader, g *globals, s *conftree.Statement) { r.set(g.instance, "announcements.repeat", 1, s) },
	"vrrp_down_timer_adverts":         numberTo[*globals]("down_timer_adverts", 1, 100),
	"vrrp_lower_prio_no_advert":       flagTo[*globals]("lower_prio_no_advert", true),
	"vrrp_higher_prio_send_advert":    flagTo[*globals]("higher_prio_send_advert", true),
	"vrrp_owner_ignore_adverts":       flagTo[*globals]("owner_ignore_adverts", true),
	"vrrp_check_unicast_src":          always[*globals]("adverts from addresses that are no peers are always ignored"),
	"vrrp_skip_check_adv_addr":        always[*globals]("lists of addresses are never compared in the election"),
	"vrrp_strict":                     flagTo[*globals]("strict", true),
	"vrrp_iptables":                   changed[*globals]("accept_mode: false has its own nf_tables table"),
	"vrrp_ipsets":                     changed[*globals]("accept_mode: false has its own nf_tables table"),
	"vrrp_startup_delay":              readStartupDelay,
	"vrrp_notify_priority_changes": func(r *reader, g *globals, s *conftree.Statement) {
		if on, ok := r.on(s); ok {
			g.priorities = on
		}
	},
	"dynamic_interfaces": always[*globals]("an interface may be missing at the start, always"),
	"default_interface":  noEffect[*globals]("it is for static addresses only"),
	"log_unknown_vrids":  always[*globals]("the status reports unknown routers"),

	"lvs_sync_daemon":     readSyncDaemon,
	"lvs_timeouts":        readTimeouts,
	"lvs_flush":           changed[*globals]("a start adopts what is in the kernel and writes the differences"),
	"lvs_flush_on_stop":   changed[*globals]("a stop removes what is ours"),
	"net_namespace":       refused[*globals]("start the daemon there: NetworkNamespacePath= in the unit"),
	"reload_check_config": always[*globals]("a file that is not valid never replaces the one that runs"),
	"enable_dbus":         refused[*globals]("there is no D-Bus interface: lvsctl status -o json, lvsctl events -f"),
	"enable_snmp_vrrp":    refused[*globals](noSNMP), "enable_snmp_checker": refused[*globals](noSNMP), "enable_snmp_rfc": refused[*globals](noSNMP),
	"enable_snmp_rfcv2": refused[*globals](noSNMP), "enable_snmp_rfcv3": refused[*globals](noSNMP), "enable_traps": refused[*globals](noSNMP),
	"enable_snmp_keepalived": refused[*globals](noSNMP), "snmp_socket": refused[*globals](noSNMP),
	"nftables_ipvs":    refused[*globals]("write fwmark with marking: nftables in the virtual server"),
	"rs_init_notifies": refused[*globals]("hooks for real servers are not supported"),
}

const (
	evenly = "announcements are spread evenly, because neighbours ignore changes within 1 s: announcements: {delay: 1.1s}"
	noSNMP = "there is no SNMP agent: lvsctl status -o json, or lvsctl status --check as a monitoring plugin"
)

func init() {
	for _, word := range []string{
		"process_names", "process_name", "vrrp_process_name", "checker_process_name", "bfd_process_name", "instance", "use_pid_dir", "linkbeat_use_polling",
		"child_wait_time", "tmp_config_directory", "config_save_dir", "vrrp_priority", "checker_priority", "bfd_priority", "vrrp_no_swap", "checker_no_swap",
		"bfd_no_swap", "vrrp_rt_priority", "checker_rt_priority", "bfd_rt_priority", "vrrp_cpu_affinity", "checker_cpu_affinity", "bfd_cpu_affinity",
		"vrrp_rlimit_rttime", "checker_rlimit_rttime", "bfd_rlimit_rttime", "vrrp_rlimit_rtime", "max_auto_priority", "min_auto_priority_delay",
		"vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier", "vrrp_netlink_cmd_rcv_bufs", "vrrp_netlink_cmd_rcv_bufs_force", "vrrp_netlink_monitor_rcv_bufs",
		"vrrp_netlink_monitor_rcv_bufs_force", "lvs_netlink_cmd_rcv_bufs", "lvs_netlink_cmd_rcv_bufs_force", "lvs_netlink_monitor_rcv_bufs",
		"lvs_netlink_monitor_rcv_bufs_force", "process_monitor_rcv_bufs", "process_monitor_rcv_bufs_force", "reload_time_file", "reload_repeat", "reload_file",
		"data_use_instance", "json_version", "random_seed", "umask", "iproute_usr_dir", "iproute_etc_dir", "include_check", "vmac_prefix", "vmac_addr_prefix",
		"disable_local_igmp", "snmp_vs_stats_update_interval", "snmp_rs_stats_update_interval", "nftables", "nftables_priority", "nftables_counters",
		"nftables_ifindex", "state_dump_file", "stats_dump_file", "json_dump_file", "fifo_write_vrrp_states_on_reload", "dbus_service_name", "dbus_no_interface_name",
		"vrrp_garp_extra_if",
	} {
		if globalWords[word] == nil {
			globalWords[word] = changed[*globals]("it is " + process)
		}
	}
}

func readRouterID(r *reader, g *globals, s *conftree.Statement) {
	r.judge(s, NoEffect, "keepalived uses it in mails and SNMP only; a director is named after its host")
}

func readRecipients(r *reader, g *globals, s *conftree.Statement) {
	g.mails = s
	for _, line := range s.Block {
		for _, w := range line.Words {
			if !strings.Contains(w.Text, "@") {
				r.judge(line, Changed, "keepalived takes '%s' for an address of its own: it is left out", w.Text)
				continue
			}
			g.mailTo = append(g.mailTo, mailAddress(w.Text))
		}
		g.mailServer = append(g.mailServer, line)
		r.rest(line)
	}
	g.mailServer = append(g.mailServer, s)
}

// mailAddress returns the address of "Name <address>".
func mailAddress(s string) string {
	if _, inner, named := strings.Cut(s, "<"); named {
		s, _, _ = strings.Cut(inner, ">")
	}
	return s
}

func readMailServer(r *reader, g *globals, s *conftree.Statement) {
	g.server, g.port = s.Arg(1), s.Arg(2)
	g.mailServer = append(g.mailServer, s)
}

func readMailTimeout(r *reader, g *globals, s *conftree.Statement) {
	if d, _, ok := r.seconds(s, 0.1, 600); ok {
		g.mailTimeout = d
		g.mailServer = append(g.mailServer, s)
	}
}

func readAlert(r *reader, g *globals, s *conftree.Statement) {
	if on, ok := r.on(s); ok && on {
		g.alertVRRP = true
		g.alertKeywords = append(g.alertKeywords, s)
	}
}

func readStartupDelay(r *reader, g *globals, s *conftree.Statement) {
	if d, _, ok := r.seconds(s, 0, 600); ok {
		g.startup = d
	}
}

func readPlainChecksum[T target](r *reader, in T, s *conftree.Statement) {
	if on, ok := r.on(s); ok && on {
		r.set(in.keys(), "checksum", "plain", s)
	}
}

func readTimeouts(r *reader, g *globals, s *conftree.Statement) {
	keys := map[string]string{"tcp": "tcp", "tcpfin": "tcp_fin", "udp": "udp"}
	g.timeouts = &object{at: s}
	for i := 1; i+1 < len(s.Words); i += 2 {
		key := keys[s.Arg(i)]
		inner := &conftree.Statement{Words: s.Words[i:min(i+2, len(s.Words))]}
		d, _, ok := r.seconds(inner, 1, 576*3600)
		if key == "" || !ok {
			r.judge(s, Refused, "'%s %s' is no timeout: tcp, tcpfin or udp, and seconds", s.Arg(i), s.Arg(i+1))
			continue
		}
		r.set(g.timeouts, key, d, nil)
	}
}

func readSyncDaemon(r *reader, g *globals, s *conftree.Statement) {
	g.sync.at = s
	r.set(g.sync, "interface", s.Arg(1), nil)
	for i := 2; i < len(s.Words); i++ {
		switch word := s.Arg(i); word {
		case "inst":
			i++
			r.set(g.sync, "instance", name(s.Arg(i)), nil)
		case "id", "maxlen", "port", "ttl":
			i++
			if n, ok := r.number(&conftree.Statement{Words: s.Words[i-1 : min(i+1, len(s.Words))]}, 0, 65535); ok {
				r.set(g.sync, word, n, nil)
			} else {
				r.judge(s, Refused, "'%s %s' is not understood", word, s.Arg(i))
			}
		case "group":
			i++
			r.set(g.sync, "group", s.Arg(i), nil)
		default:
			if i > 2 {
				r.judge(s, Refused, "'%s' is not understood here", word)
				continue
			}
			r.set(g.sync, "instance", name(word), nil)
		}
	}
	if s.Arg(1) == "" {
		r.judge(s, Refused, "the interface is missing")
		g.sync.at = nil
	}
}

// finishGlobals says what became of settings that only instances use.
func (r *reader) finishGlobals() {
	g := r.global
	for key, six := range map[string]bool{"announcements.interval": false, "announcements.gna": true} {
		e := g.instance.get(key)
		if e != nil && e.at != nil && !slices.ContainsFunc(r.instances, func(i *instance) bool { return i.ipv6 == six }) {
			r.judge(e.at, NoEffect, "no instance is of this address family")
		}
	}
	for _, s := range append(g.mailServer, g.alertKeywords...) {
		switch {
		case g.used:
		case len(r.services) > 0 && s != g.mails:
			r.judge(s, Refused, "see notification_email")
		case len(r.services) > 0:
			r.judge(s, Refused, "no instance has smtp_alert, and mails about real servers are not supported: see lvsctl events, or add notify with mail_to")
		default:
			r.judge(s, NoEffect, "nothing has smtp_alert, so keepalived sends no mails")
		}
	}
}
