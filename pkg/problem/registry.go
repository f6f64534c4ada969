package problem

import "slices"

// The codes of this version.
const (
	InstanceFault          Code = "instance_fault"
	CarrierLost            Code = "carrier_lost"
	VirtualServerDown      Code = "virtual_server_down"
	VirtualServerDegraded  Code = "virtual_server_degraded"
	ClientsBlocked         Code = "clients_blocked"
	ClientsLimited         Code = "clients_limited"
	EndsBlocked            Code = "ends_blocked"
	ClientsUnclear         Code = "clients_unclear"
	MarkNotSet             Code = "mark_not_set"
	MarkUnclear            Code = "mark_unclear"
	VIPNotReached          Code = "vip_not_reached"
	AnswersBlocked         Code = "answers_blocked"
	AnswersLimited         Code = "answers_limited"
	AnswersUnclear         Code = "answers_unclear"
	DirectorIsRealServer   Code = "director_is_real_server"
	CheckLogin             Code = "check_login"
	CheckBlocked           Code = "check_blocked"
	CheckSecret            Code = "check_secret"
	CheckLocal             Code = "check_local"
	CertificateExpires     Code = "certificate_expires"
	ServerFull             Code = "server_full"
	CheckNoNetwork         Code = "check_no_network"
	ServersUnreachable     Code = "servers_unreachable"
	AllChecksFail          Code = "all_checks_fail"
	ClusterFileUnusable    Code = "cluster_file_unusable"
	ClusterFileChanged     Code = "cluster_file_changed"
	ReloadRefused          Code = "reload_refused"
	DaemonStarting         Code = "daemon_starting"
	StrayVIP               Code = "stray_vip"
	DirectorAddressMissing Code = "director_address_missing"
	VIPsNotAdded           Code = "vips_not_added"
	VIPsNotAnnounced       Code = "vips_not_announced"
	VIPMisplaced           Code = "vip_misplaced"
	VIPContested           Code = "vip_contested"
	RoutingWrong           Code = "routing_wrong"
	AdvertsLate            Code = "adverts_late"
	AdvertsNotSent         Code = "adverts_not_sent"
	AdvertsBlocked         Code = "adverts_blocked"
	OwnPackets             Code = "own_packets"
	LinkSilent             Code = "link_silent"
	UnknownMaster          Code = "unknown_master"
	PacketFlood            Code = "packet_flood"
	SocketUnavailable      Code = "socket_unavailable"
	InterfacesUnreadable   Code = "interfaces_unreadable"
	LoopStalled            Code = "loop_stalled"
	SysctlsWrong           Code = "sysctls_wrong"
	AcceptModeOff          Code = "accept_mode_off"
	LocalVIPMissing        Code = "local_vip_missing"
	NotMarked              Code = "not_marked"
	SourceNotReplaced      Code = "source_not_replaced"
	RedirectsNotStopped    Code = "redirects_not_stopped"
	TableWrong             Code = "table_wrong"
	TableUnreadable        Code = "table_unreadable"
	StateNotSaved          Code = "state_not_saved"
	EventsNotSaved         Code = "events_not_saved"
	NotServing             Code = "not_serving"
	NotListening           Code = "not_listening"
	ListeningUnclear       Code = "listening_unclear"
	ServiceBlocked         Code = "service_blocked"
	ServiceLimited         Code = "service_limited"
	ServiceUnclear         Code = "service_unclear"
	VIPAnswersARP          Code = "vip_answers_arp"
	VIPTooWide             Code = "vip_too_wide"
	VIPHeldBack            Code = "vip_held_back"
	DeviceMissing          Code = "device_missing"
	OwnAddressMissing      Code = "own_address_missing"
	AnswersMissDirector    Code = "answers_miss_director"
	RepairFailed           Code = "repair_failed"
	NodeNotInFile          Code = "node_not_in_file"
	ServerBehindRouter     Code = "server_behind_router"
	ConntrackFull          Code = "conntrack_full"
	ConntrackNearlyFull    Code = "conntrack_nearly_full"
	ConnectionTableSmall   Code = "connection_table_small"
	EntriesDropped         Code = "entries_dropped"
)

// Role is the daemon that may have a problem.
type Role string

const (
	Director Role = "director"
	Agent    Role = "agent"
	Both     Role = "both"
)

// Declaration describes a code. All fields except ExplainedBy are required. The texts have no full stop at the end, for
// a table.
type Declaration struct {
	Code     Code
	Severity Severity
	Role     Role
	Subject  string // what has it: "instance"; "node" for the daemon or machine as a whole
	Means    string
	// Remedy tells an operator who has never seen the problem what to do: the first command or place to look at, for
	// each usual cause, and whether anything has to be restarted afterwards.
	Remedy string
	// ExplainedBy are the codes that include this problem and have at least its severity: if one of them is present,
	// this one is not reported.
	ExplainedBy []Code
	// Unready: with it the daemon does not do what its cluster file says, whatever its peers and servers do. It is not ready, either, if
	// another problem explains this one; see Report.
	Unready bool
}

// Declared returns the codes of this version.
func Declared() Registry {
	return Of(slices.Concat(serviceCodes(), filterCodes(), markCodes(), machineCodes(), addressCodes(), checkCodes(), neighbourCodes(), routerCodes(), bfdCodes(), syncGroupCodes(), connectionSyncCodes(), trackCodes(), watchedCodes(), hookCodes(), takeOverCodes(), handoverCodes(), overrideCodes(), poolCodes(), directorCodes(), ruleCodes(), commonCodes(), memberCodes(), agentCodes())...)
}

// serviceCodes are the codes about the service to clients.
func serviceCodes() []Declaration {
	return []Declaration{
		{
			Code: InstanceFault, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "the instance cannot take part in the election and has no VIPs",
			Remedy: "act on the reason in lvsctl status. No carrier: check the cable and the switch port. An interface or address is missing: restore it, or correct the cluster file. No way to the real servers: act on the reason of each server. A track is down: repair what it checks. The instance returns by itself",
		},
		{
			Code: CarrierLost, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "the interface of the instance has lost its carrier, which does not count as a fault before `interface_down_delay`. Meanwhile a MASTER reaches no clients. It is reported until the interface has had its carrier for 3 s again. With `dont_track_primary` it never counts as a fault: no director hears the other one, and both may be MASTER",
			Remedy: "check the cable and the switch port, and the counters of ethtool -S and of the switch; ip -s link shows how often the carrier changed. With a cable between two directors look whether the other machine runs",
		},
		{
			Code: VirtualServerDown, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:       "no real server takes new connections: they are down, full or have the weight 0, and clients fail",
			Remedy:      "if the text says weight 0, set the weight to 1 or more and run lvsctl reload. Otherwise open a connection to one real server from this director, as a client does. If that works, repair what the check needs: the network of this director, or the account and the password file. If not, start the servers: lvsctl status shows the reason for each",
			ExplainedBy: []Code{AllChecksFail},
		},
		{
			Code: VirtualServerDegraded, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:       "some of its real servers are down, full or unknown",
			Remedy:      "the other real servers serve. lvsctl status shows the reason for each that is not up: repair it; it gets connections again by itself",
			ExplainedBy: []Code{ServerFull},
		},
		{
			Code: DirectorIsRealServer, Severity: Warning, Role: Director, Subject: "virtual server",
			Means:  "a real server is a director too, and while another director is MASTER, it balances connections that it receives once more, and some of them fail: with `forward: tun`, with `marking: none`, because the packet filter rules against that cannot be set, or because the hardware address of the MASTER, by which they go, is not known",
			Remedy: "act on the reason. With forward: tun use forward: dr, with marking: none use marking: nftables. A hardware address that is not known: ip neigh shows that the MASTER's address does not answer ARP; find out why. Or run the real servers on machines that are no directors. With only one director the problem does not exist",
		},
		{
			Code: LocalVIPMissing, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "this director is BACKUP and a real server with `forward: dr` too, that takes connections as far as this director knows, and no interface has the VIP: connections that the MASTER sends here get no answer",
			Remedy: "start lvs-realserver on this machine, or find out with lvsctl --socket /run/lvs-director/realserver.sock status why it does not add the VIP",
		},
	}
}

// addressCodes are the codes about the addresses of a director.
func addressCodes() []Declaration {
	return []Declaration{
		{
			Code: StrayVIP, Severity: Critical, Role: Director, Subject: "address",
			Means:  "this machine has a VIP that the director did not add: two machines answer ARP for it, now or after the next failover",
			Remedy: "run the command in the text, and remove the address from the configuration of the network or of keepalived",
		},
		{
			Code: DirectorAddressMissing, Severity: Warning, Role: Director, Subject: "director",
			Means:       "no interface has the address that the cluster file gives this director; it sends from another address, which other directors do not know",
			Remedy:      "compare ip addr with the address of this director in the cluster file. Restore the address, correct the file, or start the director with the right --node",
			ExplainedBy: []Code{InstanceFault},
		},
		{
			Code: VIPsNotAdded, Severity: Critical, Role: Director, Subject: "instance", Unready: true,
			Means:       "the kernel does not take a VIP that this director needs as MASTER; retried every second",
			Remedy:      "act on the reason. Not permitted: start the daemon with the shipped unit, which has CAP_NET_ADMIN. No such device: restore the interface. If that takes longer, run systemctl stop lvs-director, so that another director holds the VIPs",
			ExplainedBy: []Code{InstanceFault},
		},
		{
			Code: VIPsNotAnnounced, Severity: Critical, Role: Director, Subject: "instance", Unready: true,
			Means:       "this director is MASTER and cannot announce a VIP: machines that know the last holder's hardware address send to it until they ask again; retried every second",
			Remedy:      "act on the reason. Not permitted: start the daemon with the shipped unit, which has CAP_NET_RAW. Not an Ethernet interface: choose the NIC that faces the clients. No buffer space: look at what fills the queue of the interface (tc -s qdisc show dev INTERFACE). If that takes longer, run systemctl stop lvs-director, so that another director holds the VIPs",
			ExplainedBy: []Code{InstanceFault},
		},
		{
			Code: VIPMisplaced, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "its VIPs come before the own address of the interface, and moving them did not help: the host uses a VIP as source address",
			Remedy: "look at ip addr: the own address is secondary behind another address of its network. Remove that one, or remove the own address and add it again first",
		},
		{
			Code: VIPContested, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "another process keeps deleting its VIPs; they are restored each time, and connections through them may stall",
			Remedy: "find that process: a network manager, a DHCP client, another VRRP daemon",
		},
		{
			Code: RoutingWrong, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "a route or rule of the MASTER is not in the kernel, or one of a former MASTER still is: clients in other networks may get no answers; retried every second",
			Remedy: "act on the reason. Added by another program: remove that one (ip route show table all, ip rule), or write another metric, table or priority in the cluster file. The interface or the router cannot be reached: restore it",
		},
	}
}

// checkCodes are the codes of inconclusive checks and of results other than up and down.
func checkCodes() []Declaration {
	return []Declaration{
		{
			Code: CheckLogin, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the server rejects the check's login; its last state is kept",
			Remedy: "log in to the server from this director with the user of the check and the password in its password file. Correct the account on the server, or the file, which is read again without a reload",
		},
		{
			Code: CertificateExpires, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the certificate of a server ends soon or has ended; that alone takes no server out",
			Remedy: "renew the server's certificate and let the server read it; certificate_days of the check sets how early this warns",
		},
		{
			Code: CheckBlocked, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the server blocks this director's address; its last state is kept",
			Remedy: "a web server that answers 429: check less often, or exempt this director. MySQL: run FLUSH HOSTS on the server (MySQL 8.4 and later: TRUNCATE TABLE performance_schema.host_cache). Then find which program on this director fails to connect, or it is blocked again",
		},
		{
			Code: CheckSecret, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the password file of the check cannot be used; the last state is kept",
			Remedy: "correct the file that the reason names: a regular file, owned by root, with mode 0600 or 0640, not below /home or /root. It is read again without a reload",
		},
		{
			Code: CheckLocal, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "this director could not run the check; the last state is kept",
			Remedy: "the fault is on this director, not on the server. Act on the reason: file descriptors, ports or memory are used up, or the machine has too little CPU time",
		},
		{
			Code: CheckNoNetwork, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:       "this director has no way to the server: no route, no address or no permission, or its own packet filter or a full table of connection tracking stops the check; its last state is kept",
			Remedy:      "the fault is on this director, not on the server. Run ip route get ADDRESS with the address of the server, and ip addr: restore the route, the interface or the address. If the reason says not permitted or packet filter, look at iptables -L OUTPUT -v, nft list ruleset and IPAddressDeny in the unit",
			ExplainedBy: []Code{ServersUnreachable, AllChecksFail, ConntrackFull},
		},
		{
			Code: AllChecksFail, Severity: Critical, Role: Director, Subject: "node",
			Means:  "the checks of all real servers began to fail at once, on more than two machines: most likely because of this director's own network",
			Remedy: "compare with lvsctl status on the other director. If its checks succeed, repair the network of this machine: ip link, ip route, its packet filter, the switch port. If they fail too, look at what all servers share: a switch, a power supply, a deployment",
		},
		{
			Code: ServersUnreachable, Severity: Critical, Role: Director, Subject: "virtual server",
			Means:       "this director has no way to any real server of the virtual server: clients fail while it is MASTER",
			Remedy:      "restore the interface, address or route to the real servers on this director: ip route get ADDRESS with the address of one shows what is missing. If the reason says packet filter, let the checks and their answers pass: iptables -I INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT, or delete the rule. Meanwhile another director that reaches them is MASTER by itself",
			ExplainedBy: []Code{AllChecksFail},
		},
		{
			Code: ServerFull, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the server has no free connections and gets no new ones",
			Remedy: "run SHOW PROCESSLIST on the server and end what leaks connections, or SET GLOBAL max_connections to more. It gets connections again after the next good check",
		},
	}
}

// neighbourCodes are the codes about the packets that a director sends and receives.
func neighbourCodes() []Declaration {
	return []Declaration{
		{
			Code: AdvertsLate, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "adverts leave so late that more load would cause a failover",
			Remedy: "find what uses the CPU of this machine (top; in a virtual machine also the steal time in vmstat). Start the daemon with the shipped unit, which gives it priority, or raise advert_interval on all directors",
		},
		{
			Code: AdvertsNotSent, Severity: Critical, Role: Director, Subject: "instance",
			Means:       "adverts cannot be sent: another director will take the VIPs as well",
			Remedy:      "allow this machine to send IP protocol 112 from the instance's interface (iptables -L OUTPUT -v, nft list ruleset). If that takes longer, stop this director, so that the VIPs are on one machine only",
			ExplainedBy: []Code{InstanceFault, SocketUnavailable},
		},
		{
			Code: AdvertsBlocked, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "the packet filter of this director drops the adverts of other directors: it becomes MASTER beside another one",
			Remedy: "run the command that lvsctl status shows: it adds the rule. Make it permanent where these rules come from",
		},
		{
			Code: LinkSilent, Severity: Critical, Role: Director, Subject: "instance",
			Means:       "no packet of another machine has been received on the interface since the start of the daemon or since its link came up: it has a carrier and delivers nothing",
			Remedy:      "look at the switch port: a spanning tree that still learns (set portfast on the port), another VLAN, a bond without an active slave. arping -I INTERFACE ADDRESS, with the address of the gateway, shows when it works. If there really is no other machine in this network, nothing has to be done",
			ExplainedBy: []Code{InstanceFault, CarrierLost, SocketUnavailable},
		},
		{
			Code: OwnPackets, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "packets arrive from this director's own address",
			Remedy: "look for another machine with this address: on a third machine, arping ADDRESS shows answers from two hardware addresses. If there is none, look for a loop between switches",
		},
		{
			Code: PacketFlood, Severity: Warning, Role: Director, Subject: "instance or interface",
			Means:  "there is a flood of VRRP packets that are ignored",
			Remedy: "find the sender with tcpdump -e -n -i INTERFACE vrrp: the text names its address, the switch knows the port of its hardware address. Disconnect it",
		},
		{
			Code: SocketUnavailable, Severity: Critical, Role: Director, Subject: "interface", Unready: true,
			Means:       "the VRRP socket cannot be opened, so other directors are not heard; retried every second",
			Remedy:      "act on the reason. No such interface: create it, or correct its name in the cluster file. Not permitted: start the daemon with the shipped unit, which has CAP_NET_RAW",
			ExplainedBy: []Code{InstanceFault},
		},
	}
}

// directorCodes are the codes of the director as a whole.
func directorCodes() []Declaration {
	return []Declaration{
		{
			Code: LoopStalled, Severity: Critical, Role: Director, Subject: "node", Unready: true,
			Means:  "a loop of the daemon has stalled: a bug, or a kernel that does not answer",
			Remedy: "keep the stacks for a report (journalctl -u lvs-director), then run systemctl restart lvs-director. If it happens again, look at the kernel log (dmesg) and restart the machine",
		},
		{
			Code: InterfacesUnreadable, Severity: Warning, Role: Director, Subject: "node", Unready: true,
			Means:  "interfaces and addresses of this machine cannot be read; the last known state is kept, and read again every second",
			Remedy: "run ip link and ip addr as root. If they fail, look at the kernel log (dmesg). If not, start the daemon with the shipped unit, which has CAP_NET_ADMIN and allows AF_NETLINK",
		},
		{
			Code: SysctlsWrong, Severity: Warning, Role: Director, Subject: "node",
			Means:  "sysctls do not have the required values; retried",
			Remedy: "act on the reason. Read-only: make /proc/sys writable for the daemon; in a container, set the value on the host. Changed again and again: find the other program, for example with grep -r in /etc/sysctl.d",
		},
		{
			Code: TableWrong, Severity: Critical, Role: Director, Subject: "node", Unready: true,
			Means:  "the IPVS table is not in the desired state; retried",
			Remedy: "act on the reason. A module is missing: modprobe ip_vs, and ip_vs_rr or whichever scheduler the file names. The kernel rejects a change: compare ipvsadm -Ln with lvsctl status; another program may have an entry for the same address and port",
		},
		{
			Code: TableUnreadable, Severity: Warning, Role: Director, Subject: "node", Unready: true,
			Means:       "weights and connection counts of the IPVS table cannot be read",
			Remedy:      "run cat /proc/net/ip_vs as root: if it fails, modprobe ip_vs or mount /proc. Clients are still served; only the figures in lvsctl status are missing",
			ExplainedBy: []Code{TableWrong},
		},
	}
}

// commonCodes are the codes of both daemons.
func commonCodes() []Declaration {
	return []Declaration{
		{
			Code: ClusterFileUnusable, Severity: Warning, Role: Both, Subject: "node", Unready: true,
			Means:  "the cluster file cannot be used; the last good copy is running",
			Remedy: "run lvsctl check on the cluster file, correct what it prints, then run lvsctl reload",
		},
		{
			Code: ReloadRefused, Severity: Warning, Role: Both, Subject: "node", Unready: true,
			Means:       "the last reload was refused; the previous cluster file is still in force",
			Remedy:      "run lvsctl check and lvsctl diff, correct what they or the text say, then run lvsctl reload; with --force if most real servers are meant to go",
			ExplainedBy: []Code{ClusterFileUnusable},
		},
		{
			Code: ClusterFileChanged, Severity: Warning, Role: Both, Subject: "node",
			Means:       "the cluster file on disk is not the one that runs: it was changed, is broken or is gone; the next start would not run the same",
			Remedy:      "run lvsctl check on the cluster file. If the change is wanted, run lvsctl reload; if not, restore the file: cluster.last-good.yaml in the state directory is a copy of the one that runs",
			ExplainedBy: []Code{ClusterFileUnusable, ReloadRefused},
		},
		{
			Code: DaemonStarting, Severity: Warning, Role: Both, Subject: "node", Unready: true,
			Means:  "the daemon has not started yet",
			Remedy: "wait 10 s. If it has not started then, the reason is in its log: journalctl -u lvs-director, or lvs-realserver on a real server",
		},
		{
			Code: StateNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means:  "the state file does not have all kernel settings of this daemon; a crash would lose the record of them",
			Remedy: "free space on the file system of the state directory, or make it writable for root (df, ls -ld, dmesg). It is saved within seconds after that, without a restart",
		},
		{
			Code: EventsNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means:       "events cannot be written to the journal's file; a restart would lose them",
			Remedy:      "free space on the file system of the state directory, or make it writable for root (df, ls -ld, dmesg). The events are written within seconds after that, without a restart",
			ExplainedBy: []Code{StateNotSaved},
		},
		metricsNotPublished(),
		apiNotOffered(),
	}
}

// memberCodes are the codes of the agent about its virtual servers.
func memberCodes() []Declaration {
	return []Declaration{
		{
			Code: NotServing, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means:       "this node cannot serve its clients",
			Remedy:      "act on the reason of the virtual server in lvsctl status on this machine. It is up again by itself",
			ExplainedBy: []Code{VIPHeldBack, DeviceMissing, AnswersMissDirector, NotListening, ServiceBlocked, VIPAnswersARP},
		},
		{
			Code: NotListening, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means:  "no socket accepts connections where the packets of clients arrive: they are refused",
			Remedy: "run ss -ltn on this machine. If the service is not running, start it. If it listens on other addresses only, set bind_address to 0.0.0.0, or add the address in the text, and restart it",
		},
		{
			Code: ListeningUnclear, Severity: Warning, Role: Agent, Subject: "virtual server",
			Means:  "no socket accepts connections where the packets of clients arrive, and it is not known whether a rule of the packet filter redirects them to one, as docker's do",
			Remedy: "try it from a client with the command that lvsctl status shows. If the text says that the rules cannot be read, install nftables or iptables",
		},
		{
			Code: ServiceBlocked, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means:  "the packet filter of this real server drops the packets of clients",
			Remedy: "run the command that lvsctl status shows: it adds the rule. Make it permanent where these rules come from",
		},
		{
			Code: ServiceLimited, Severity: Warning, Role: Agent, Subject: "virtual server",
			Means:       "the packet filter of this real server drops packets of clients above a rate or a number: clients fail when there are more",
			Remedy:      "if the limit is not meant for this service, run the command that lvsctl status shows: it accepts the packets before the rule that counts them. Make it permanent where these rules come from",
			ExplainedBy: []Code{ServiceBlocked},
		},
		{
			Code: ServiceUnclear, Severity: Warning, Role: Agent, Subject: "virtual server",
			Means:       "it is not known whether this real server drops the packets of clients: its packet filter has rules that cannot be judged, or cannot be read",
			Remedy:      "try it from a client with the command that lvsctl status shows. If it works, add a rule before the one shown that accepts the packets by address and port. If the rules cannot be read, install nftables or iptables",
			ExplainedBy: []Code{ServiceBlocked, ListeningUnclear},
		},
	}
}

// agentCodes are the codes about the node of an agent.
func agentCodes() []Declaration {
	return []Declaration{
		{
			Code: VIPAnswersARP, Severity: Critical, Role: Agent, Subject: "address",
			Means:  "a NIC has the VIP and answers ARP for it, in competition with the director",
			Remedy: "run the command in the text, ip addr del. Then remove the address from the network configuration of this machine, or the next boot adds it again",
		},
		{
			Code: VIPTooWide, Severity: Critical, Role: Agent, Subject: "address",
			Means:  "lo has the VIP with a prefix that makes a whole network local to this machine: clients there get no answers",
			Remedy: "run the command in the text, ip addr del; the agent adds its own address. Then remove the address from the network configuration of this machine, or the next boot adds it again",
		},
		{
			Code: VIPHeldBack, Severity: Critical, Role: Agent, Subject: "address", Unready: true,
			Means:  "the VIP is not added because this machine would answer ARP for it",
			Remedy: "make /proc/sys writable for the agent, so that it can set arp_ignore and arp_announce; in a container, set both on the host. The agent then adds the VIP within a second",
		},
		{
			Code: DeviceMissing, Severity: Critical, Role: Agent, Subject: "interface", Unready: true,
			Means:  "the interface for the VIP does not exist, or nothing receives the packets of its tunnel",
			Remedy: "for tunl0 run modprobe ipip, for sit0 modprobe sit, for gre0 modprobe ip_gre, and for every boot echo ipip >/etc/modules-load.d/ipip.conf, likewise the others. The agent then adds the VIP within a second. For a UDP port run modprobe fou and ip fou add port PORT gue, for grecsum0 ip link add grecsum0 type gre local ADDRESS csum, for ip6any0 ip link add ip6any0 type ip6tnl mode any local ADDRESS remote ::",
		},
		{
			Code: OwnAddressMissing, Severity: Critical, Role: Agent, Subject: "real server",
			Means:  "no interface has the address that the cluster file gives this node",
			Remedy: "compare ip addr with the address of this node in the cluster file. Restore the address, correct the file, or start the agent with the right --node",
		},
		{
			Code: AnswersMissDirector, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means:  "answers do not pass through a director, as required for forward: nat",
			Remedy: "change the route to the clients, usually ip route replace default via VIP, with the VIP that the text names, and in the network configuration of this machine. ip route get CLIENT shows the result",
		},
		{
			Code: RepairFailed, Severity: Warning, Role: Agent, Subject: "node", Unready: true,
			Means:  "a setting could not be read, set, added or removed; retried",
			Remedy: "act on the reason: usually a missing privilege (start the agent with the shipped unit) or a read-only /proc/sys. The agent tries again every second",
		},
		{
			Code: NodeNotInFile, Severity: Warning, Role: Agent, Subject: "node", Unready: true,
			Means:  "since a reload this node is not a real server in the cluster file",
			Remedy: "if this node should serve, add it to the cluster file and run lvsctl reload. If not, run systemctl disable --now lvs-realserver",
		},
	}
}
