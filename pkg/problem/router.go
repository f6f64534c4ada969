package problem

// The codes about other routers of the network.
const (
	UnknownRouter  Code = "unknown_router"
	TwoMasters     Code = "two_masters"
	AdvertsRefused Code = "adverts_refused"
	VIPsNotHeld    Code = "vips_not_held"
	VIPListsDiffer Code = "vip_lists_differ"
	VIPsElsewhere  Code = "vips_elsewhere"
	PacketsInvalid Code = "packets_invalid"
	VIPClaimed     Code = "vip_claimed"
)

// routerCodes are the codes about other routers of the network.
func routerCodes() []Declaration {
	return []Declaration{
		{
			Code: TwoMasters, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "this director is MASTER and has received adverts of another MASTER for three intervals: both hold the VIPs",
			Remedy: "the other machine does not receive our adverts. Run tcpdump -n -i INTERFACE vrrp there. If they arrive, let its packet filter accept IP protocol 112; if not, look at this machine's packet filter and at the switch between them. Until then stop VRRP on one of the machines",
		},
		{
			Code: AdvertsRefused, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "a router for these VIPs sends adverts of another version, with another password or none, by unicast or to another group while this director does not, or of version 2 with another interval: neither follows the other",
			Remedy: "give both machines the same protocol_version, advert_interval, unicast_peers or multicast_group, and, in version 2, the same password: auth_type here, authentication in a keepalived.conf",
		},
		{
			Code: UnknownMaster, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "a machine that is not a director of the cluster file is MASTER and keeps this director from the VIPs",
			Remedy: "find the machine with the address in the text (ip neigh shows its hardware address, the switch its port) and stop its VRRP. If it belongs to another pair, choose another virtual_router_id for this one, in the file of all directors",
		},
		{
			Code: UnknownRouter, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "a machine that is not a director of the cluster file sends adverts with this virtual_router_id",
			Remedy: "find the machine with the address in the text. If it belongs to another pair, choose another virtual_router_id for one of the pairs. If it is a director of this one, add it to directors in the cluster file",
		},
		{
			Code: VIPsNotHeld, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "the MASTER does not list all VIPs of this instance in its adverts: nobody holds the others",
			Remedy: "give both directors the same cluster file and run lvsctl reload on the MASTER; on a keepalived, correct virtual_ipaddress and reload it",
		},
		{
			Code: VIPListsDiffer, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "another director lists other VIPs in its adverts",
			Remedy: "give both directors the same cluster file and run lvsctl reload on both; on a keepalived, correct virtual_ipaddress and reload it",
		},
		{
			Code: VIPsElsewhere, Severity: Critical, Role: Director, Subject: "instance",
			Means:  "a machine is MASTER of one of these VIPs with another virtual_router_id, so that two machines hold it",
			Remedy: "if the other machine is a director of this pair, give both the same cluster file and run lvsctl reload on both; otherwise remove the address from its VRRP",
		},
		{
			Code: VIPClaimed, Severity: Critical, Role: Director, Subject: "instance",
			Means:       "this director is MASTER, and another machine claims a VIP with ARP or neighbour advertisements as well",
			Remedy:      "find the machine with the hardware address in the text (the switch knows its port) and remove the VIP from its interfaces. If it is a director, this one's adverts do not reach it, nor its adverts this one: let both send and receive IP protocol 112",
			ExplainedBy: []Code{TwoMasters, AdvertsRefused, VIPsElsewhere},
		},
		{
			Code: PacketsInvalid, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "malformed VRRP packets with this virtual_router_id are received and ignored",
			Remedy: "look at them with tcpdump -e -n -vv -i INTERFACE vrrp. If the sender is a director, its adverts are not heard: look for a middlebox that changes packets, and for a keepalived with auth_hmac. Otherwise disconnect it",
		},
	}
}
