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

// Role is the daemon that may have a problem.
type Role string

const (
	Director Role = "director"
	Agent    Role = "agent"
	Both     Role = "both"
)

// Declaration describes a code. All fields except ExplainedBy are required. The texts are fragments without a full
// stop, for a table.
type Declaration struct {
	Code     Code
	Severity Severity
	Role     Role
	Subject  string // what has it: "instance"; "node" for the daemon or machine as a whole
	Means    string
	Remedy   string
	// ExplainedBy are the codes that include this problem and have at least its severity: if one of them is present,
	// this one is not reported.
	ExplainedBy []Code
}

// Declared returns the codes of this version.
func Declared() Registry {
	return Of(slices.Concat(serviceCodes(), checkCodes(), neighbourCodes(), directorCodes(), commonCodes(), agentCodes())...)
}

// serviceCodes are the codes about the service to clients.
func serviceCodes() []Declaration {
	return []Declaration{
		{
			Code: InstanceFault, Severity: Critical, Role: Director, Subject: "instance",
			Means: "the instance cannot take part in the election and has no VIPs", Remedy: "see the reason: the carrier, an address, the interface or a track is missing",
		},
		{
			Code: VirtualServerDown, Severity: Critical, Role: Director, Subject: "virtual server",
			Means: "no real server is up: clients are refused", Remedy: "see the reasons of the real servers; if they are actually up, check this director's network and password file",
		},
		{
			Code: VirtualServerDegraded, Severity: Warning, Role: Director, Subject: "virtual server",
			Means: "some of its real servers are not up", Remedy: "see their reasons, and repair them",
		},
	}
}

// checkCodes are the codes of inconclusive checks and of results other than up and down.
func checkCodes() []Declaration {
	return []Declaration{
		{
			Code: CheckLogin, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the server rejects the check's login; its last state is kept", Remedy: "correct the account or the password file of the check",
		},
		{
			Code: CheckBlocked, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the server blocks this director's address; its last state is kept", Remedy: "run FLUSH HOSTS on the server, and find the cause of the failed connections",
		},
		{
			Code: CheckSecret, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the password file of the check cannot be used; the last state is kept", Remedy: "correct the file: it must exist, be readable by the daemon, and not be readable by others",
		},
		{
			Code: CheckLocal, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "this director could not run the check; the last state is kept", Remedy: "see the reason: file descriptors, a route, an address or CPU time are missing here",
		},
		{
			Code: ServerFull, Severity: Warning, Role: Director, Subject: "real server or track",
			Means: "the server has no free connections and gets no new ones", Remedy: "raise max_connections on the server, or find the client that leaks connections",
		},
	}
}

// neighbourCodes are the codes about the packets that a director sends and receives.
func neighbourCodes() []Declaration {
	return []Declaration{
		{
			Code: AdvertsLate, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "adverts leave so late that more load would cause a failover",
			Remedy: "give the daemon the priority of the shipped unit, or raise advert_interval",
		},
		{
			Code: AdvertsNotSent, Severity: Critical, Role: Director, Subject: "instance",
			Means: "adverts cannot be sent: another director will take the VIPs as well", Remedy: "allow this host to send IP protocol 112",
			ExplainedBy: []Code{InstanceFault, SocketUnavailable},
		},
		{
			Code: OwnPackets, Severity: Warning, Role: Director, Subject: "instance",
			Means: "packets arrive from this director's own address", Remedy: "look for a loop in the network, or another machine with this address",
		},
		{
			Code: UnknownMaster, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "a machine that is not a director of the cluster file is MASTER",
			Remedy: "find that machine, or choose another virtual_router_id",
		},
		{
			Code: PacketFlood, Severity: Warning, Role: Director, Subject: "instance or interface",
			Means: "there is a flood of VRRP packets that are ignored", Remedy: "find the sender",
		},
		{
			Code: SocketUnavailable, Severity: Critical, Role: Director, Subject: "interface",
			Means: "the VRRP socket cannot be opened; retried every second", Remedy: "see the reason: usually the interface is missing",
			ExplainedBy: []Code{InstanceFault},
		},
	}
}

// directorCodes are the codes of the director as a whole.
func directorCodes() []Declaration {
	return []Declaration{
		{
			Code: LoopStalled, Severity: Critical, Role: Director, Subject: "node",
			Means: "a loop of the daemon has stalled: a bug, or a kernel that does not answer", Remedy: "restart the daemon, and report the stacks in its log",
		},
		{
			Code: SysctlsWrong, Severity: Warning, Role: Director, Subject: "node",
			Means: "sysctls do not have the required values; retried", Remedy: "see the reason: a missing privilege or a read-only /proc/sys",
		},
		{
			Code: TableWrong, Severity: Critical, Role: Director, Subject: "node",
			Means: "the IPVS table is not in the desired state; retried", Remedy: "see the reason: a missing module, or a change that the kernel rejects",
		},
		{
			Code: TableUnreadable, Severity: Warning, Role: Director, Subject: "node",
			Means: "weights and connection counts of the IPVS table cannot be read", Remedy: "see the reason: a missing module, or /proc is not mounted",
			ExplainedBy: []Code{TableWrong},
		},
	}
}

// commonCodes are the codes of both daemons.
func commonCodes() []Declaration {
	return []Declaration{
		{
			Code: ClusterFileUnusable, Severity: Warning, Role: Both, Subject: "node",
			Means: "the cluster file cannot be used; the last good copy is running", Remedy: "correct the file, then run lvsctl reload",
		},
		{
			Code: ReloadRefused, Severity: Warning, Role: Both, Subject: "node",
			Means: "the last reload was refused; the previous cluster file is still in force", Remedy: "correct the file, then run lvsctl reload",
			ExplainedBy: []Code{ClusterFileUnusable},
		},
		{
			Code: DaemonStarting, Severity: Warning, Role: Both, Subject: "node",
			Means: "the daemon has not started yet", Remedy: "wait; if it persists, see the log",
		},
		{
			Code: StateNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means:  "the state file does not have all kernel settings of this daemon; a crash would lose the record of them",
			Remedy: "free space in the state directory, or make it writable",
		},
		{
			Code: EventsNotSaved, Severity: Warning, Role: Both, Subject: "node",
			Means: "events cannot be written to the journal's file; a restart would lose them", Remedy: "free space in the state directory, or make it writable",
			ExplainedBy: []Code{StateNotSaved},
		},
	}
}

// agentCodes are the codes of the agent.
func agentCodes() []Declaration {
	return []Declaration{
		{
			Code: NotServing, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means: "this node cannot serve its clients", Remedy: "see the reason",
			ExplainedBy: []Code{VIPHeldBack, DeviceMissing, AnswersMissDirector},
		},
		{
			Code: VIPAnswersARP, Severity: Warning, Role: Agent, Subject: "address",
			Means: "a NIC also has the VIP and answers ARP for it, in competition with the director", Remedy: "remove the address from that interface",
		},
		{
			Code: VIPTooWide, Severity: Critical, Role: Agent, Subject: "address",
			Means: "lo has the VIP with a prefix that makes a whole network local to this machine", Remedy: "remove that address; the agent adds its own",
		},
		{
			Code: VIPHeldBack, Severity: Critical, Role: Agent, Subject: "address",
			Means: "the VIP is not added because this machine would answer ARP for it", Remedy: "allow the agent to set the sysctls",
		},
		{
			Code: DeviceMissing, Severity: Critical, Role: Agent, Subject: "interface",
			Means: "the interface for the VIP does not exist", Remedy: "load its module: ipip for tunl0",
		},
		{
			Code: OwnAddressMissing, Severity: Critical, Role: Agent, Subject: "real server",
			Means: "no interface has the address that the cluster file gives this node", Remedy: "check the node name and the address",
		},
		{
			Code: AnswersMissDirector, Severity: Critical, Role: Agent, Subject: "virtual server",
			Means: "answers do not pass through a director, as required for forward: nat", Remedy: "point the route to the clients at a VIP that the directors hold",
		},
		{
			Code: RepairFailed, Severity: Warning, Role: Agent, Subject: "node",
			Means: "a setting could not be read, set, added or removed; retried", Remedy: "see the reason",
		},
		{
			Code: NodeNotInFile, Severity: Warning, Role: Agent, Subject: "node",
			Means: "since a reload this node is not a real server in the cluster file", Remedy: "stop the agent here, or add the node to the file",
		},
	}
}
