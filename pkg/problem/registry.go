package problem

import "slices"

// The codes of this version.
const (
	InstanceFault         Code = "instance_fault"
	VirtualServerDown     Code = "virtual_server_down"
	VirtualServerDegraded Code = "virtual_server_degraded"
	CheckLogin            Code = "check_login"
	CheckBlocked          Code = "check_blocked"
	CheckSecret           Code = "check_secret"
	CheckLocal            Code = "check_local"
	ServerFull            Code = "server_full"
	ClusterFileUnusable   Code = "cluster_file_unusable"
	ReloadRefused         Code = "reload_refused"
	DaemonStarting        Code = "daemon_starting"
	AdvertsLate           Code = "adverts_late"
	AdvertsNotSent        Code = "adverts_not_sent"
	OwnPackets            Code = "own_packets"
	UnknownMaster         Code = "unknown_master"
	PacketFlood           Code = "packet_flood"
	SocketUnavailable     Code = "socket_unavailable"
	LoopStalled           Code = "loop_stalled"
	SysctlsWrong          Code = "sysctls_wrong"
	TableWrong            Code = "table_wrong"
	TableUnreadable       Code = "table_unreadable"
	StateNotSaved         Code = "state_not_saved"
	EventsNotSaved        Code = "events_not_saved"
	NotServing            Code = "not_serving"
	VIPAnswersARP         Code = "vip_answers_arp"
	VIPTooWide            Code = "vip_too_wide"
	VIPHeldBack           Code = "vip_held_back"
	DeviceMissing         Code = "device_missing"
	OwnAddressMissing     Code = "own_address_missing"
	AnswersMissDirector   Code = "answers_miss_director"
	RepairFailed          Code = "repair_failed"
	NodeNotInFile         Code = "node_not_in_file"
)

// Role is who may have a problem.
type Role string

const (
	Director Role = "director"
	Agent    Role = "agent"
	Both     Role = "both"
)

// Declaration is all there is to say of a code. Every field but ExplainedBy is required. The texts are fragments without a
// full stop, for a table.
type Declaration struct {
	Code     Code
	Severity Severity
	Role     Role
	Subject  string // what has it: "instance"; "node" for the daemon or machine as a whole
	Means    string
	Remedy   string
	// ExplainedBy are the codes that say all of this one, and at least as loudly: beside one of them it is not reported.
	ExplainedBy []Code
}

// Declared are the codes of this version.
func Declared() Registry {
	return Of(slices.Concat(serviceCodes(), checkCodes(), neighbourCodes(), directorCodes(), commonCodes(), agentCodes())...)
}

// serviceCodes are those of what clients get.
func serviceCodes() []Declaration {
	return []Declaration{
		{
			Code: InstanceFault, Severity: Critical, Role: Director, Subject: "instance",
			Means: "it cannot take part in the election, and has no VIPs", Remedy: "the reason says what it lacks: a carrier, an address, an interface, a track",
		},
		{
			Code: VirtualServerDown, Severity: Critical, Role: Director, Subject: "virtual server",
			Means: "no real server is up: clients are refused", Remedy: "see why each real server is down; if they are not, look at this director's network and password file",
		},
		{
			Code: VirtualServerDegraded, Severity: Warning, Role: Director, Subject: "virtual server",
			Means: "some of its real servers are not up", Remedy: "see why each of them is down, and mend it",
		},
	}
}

// checkCodes are those of checks that say nothing, and of what they say beside up and down.
func checkCodes() []Declaration {
	return []Declaration{
		{
			Code: CheckLogin, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the server does not let the check's user in; its last state is kept", Remedy: "mend the account or the password file of the check",
		},
		{
			Code: CheckBlocked, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the server blocks this director's address; its last state is kept", Remedy: "run FLUSH HOSTS there, and find out what caused the failed connections",
		},
		{
			Code: CheckSecret, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the password file of the check cannot be used; the last state is kept", Remedy: "mend the file: it must exist, be readable for the daemon, and not for all",
		},
		{
			Code: CheckLocal, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "this director itself could not make the check; the last state is kept", Remedy: "see the reason: descriptors, a route, an address, or CPU are missing here",
		},
		{
			Code: ServerFull, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "it has no connection left, and gets no new ones", Remedy: "raise max_connections there, or find out who leaks connections",
		},
	}
}

// neighbourCodes are those of what a director sends to its network and hears there.
func neighbourCodes() []Declaration {
	return []Declaration{
		{
			Code: AdvertsLate, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "its adverts leave so late that a busier moment costs a failover",
			Remedy: "give the daemon the priority that its unit has, or raise advert_interval",
		},
		{
			Code: AdvertsNotSent, Severity: Warning, Role: Director, Subject: "instance",
			Means: "its adverts cannot be sent: another director will take the VIPs as well", Remedy: "let this host send IP protocol 112",
			ExplainedBy: []Code{InstanceFault, SocketUnavailable},
		},
		{
			Code: OwnPackets, Severity: Warning, Role: Director, Subject: "instance",
			Means: "packets come from this director's own address", Remedy: "look for a loop in the network, or another machine with this address",
		},
		{
			Code: UnknownMaster, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "a machine that is no director of the cluster file is MASTER",
			Remedy: "find that machine, or choose another virtual_router_id",
		},
		{
			Code: PacketFlood, Severity: Warning, Role: Director, Subject: "instance or interface",
			Means: "VRRP packets that are ignored pour in", Remedy: "find out what sends them",
		},
		{
			Code: SocketUnavailable, Severity: Warning, Role: Director, Subject: "interface",
			Means: "there is no VRRP socket; it is tried again every second", Remedy: "see the reason: mostly the interface is not there",
			ExplainedBy: []Code{InstanceFault},
		},
	}
}

// directorCodes are those of the director as a whole.
func directorCodes() []Declaration {
	return []Declaration{
		{
			Code: LoopStalled, Severity: Warning, Role: Director, Subject: "node",
			Means: "a loop of the daemon makes no progress: a bug, or a kernel that does not answer", Remedy: "restart the daemon, and report the stack in its log",
		},
		{
			Code: SysctlsWrong, Severity: Warning, Role: Director, Subject: "node",
			Means: "sysctls are not as they should be; it is tried again", Remedy: "see the reason: a missing privilege, a read-only /proc/sys",
		},
		{
			Code: TableWrong, Severity: Warning, Role: Director, Subject: "node",
			Means: "the IPVS table is not as it should be; it is tried again", Remedy: "see the reason: a missing module, or what the kernel refuses",
		},
		{
			Code: TableUnreadable, Severity: Warning, Role: Director, Subject: "node",
			Means: "weights and connections in the IPVS table are not known", Remedy: "see the reason: a missing module, or /proc is not mounted",
			ExplainedBy: []Code{TableWrong},
		},
	}
}

// commonCodes are those of both daemons.
func commonCodes() []Declaration {
	return []Declaration{
		{
			Code: ClusterFileUnusable, Severity: Warning, Role: Both, Subject: "node",
			Means: "the cluster file cannot be used, and the last good copy runs", Remedy: "mend the file, then lvsctl reload",
		},
		{
			Code: ReloadRefused, Severity: Warning, Role: Both, Subject: "node",
			Means: "the last reload was refused, and the former cluster file runs", Remedy: "mend the file, then lvsctl reload",
			ExplainedBy: []Code{ClusterFileUnusable},
		},
		{
			Code: DaemonStarting, Severity: Warning, Role: Both, Subject: "node",
			Means: "the daemon has not started yet", Remedy: "wait; if it lasts, see the log",
		},
		{
			Code: StateNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means:  "what is ours in the kernel is not in the state file; a crash would forget some of it",
			Remedy: "make room in the state directory, or make it writable",
		},
		{
			Code: EventsNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means: "events are not in the journal's file; a restart would forget them", Remedy: "make room in the state directory, or make it writable",
			ExplainedBy: []Code{StateNotSaved},
		},
	}
}

// agentCodes are those of the agent.
func agentCodes() []Declaration {
	return []Declaration{
		{
			Code: NotServing, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means: "this node cannot serve its clients", Remedy: "see the reason",
		},
		{
			Code: VIPAnswersARP, Severity: Warning, Role: Agent, Subject: "address",
			Means: "a network card has the VIP too, and answers ARP for it beside the director", Remedy: "remove the address from that interface",
		},
		{
			Code: VIPTooWide, Severity: Warning, Role: Agent, Subject: "address",
			Means: "lo has the VIP with a prefix that takes a whole network for this machine", Remedy: "remove that address; the agent puts its own",
		},
		{
			Code: VIPHeldBack, Severity: Warning, Role: Agent, Subject: "address",
			Means: "the VIP is not put, for this machine would answer ARP for it", Remedy: "let the agent set the sysctls",
			ExplainedBy: []Code{NotServing},
		},
		{
			Code: DeviceMissing, Severity: Warning, Role: Agent, Subject: "interface",
			Means: "an interface that the VIP belongs on does not exist", Remedy: "load its module: ipip for tunl0",
			ExplainedBy: []Code{NotServing},
		},
		{
			Code: OwnAddressMissing, Severity: Warning, Role: Agent, Subject: "real server",
			Means: "no interface has the address that the cluster file gives this node", Remedy: "check the node name, and the address",
		},
		{
			Code: AnswersMissDirector, Severity: Warning, Role: Agent, Subject: "virtual server",
			Means: "answers do not pass a director, which forward: nat needs", Remedy: "point the route to the clients at a VIP that the directors hold",
			ExplainedBy: []Code{NotServing},
		},
		{
			Code: RepairFailed, Severity: Warning, Role: Agent, Subject: "node",
			Means: "something could not be read, set, put or removed; it is tried again", Remedy: "see the reason",
		},
		{
			Code: NodeNotInFile, Severity: Warning, Role: Agent, Subject: "node",
			Means: "since a reload the cluster file does not name this node as a real server", Remedy: "stop the agent here, or name the node in the file",
		},
	}
}
