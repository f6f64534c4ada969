package problem

// The codes about BFD sessions.
const (
	BFDSessionDown Code = "bfd_session_down"
	BFDFalseAlarm  Code = "bfd_false_alarm"
)

func bfdCodes() []Declaration {
	return []Declaration{
		{
			Code: BFDSessionDown, Severity: Warning, Role: Director, Subject: "BFD session",
			Means:       "a BFD session is not up: the failure of its neighbour is not noticed by BFD",
			Remedy:      "act on the reason in lvsctl status. If the neighbour is down, repair it. Otherwise check that it runs BFD with the address of this director, that no packet filter drops UDP port 3784 with TTL 255 in either direction (tcpdump -n -i INTERFACE udp port 3784 on both), and that no other BFD daemon of this machine has the port. The session comes up by itself",
			ExplainedBy: []Code{InstanceFault},
		},
		{
			Code: BFDFalseAlarm, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "BFD declared the MASTER dead although it lives, so that two directors held the VIPs for a moment; BFD is ignored for some time now",
			Remedy: "find why packets are late or lost: a director that got no CPU (adverts_late, steal time in vmstat), a full queue, a switch that reconverges. Raise interval or multiplier of peer_bfd on all directors",
		},
	}
}
