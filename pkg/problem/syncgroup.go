package problem

// The codes about sync groups.
const (
	SyncGroupSplit    Code = "sync_group_split"
	SyncGroupHeldBack Code = "sync_group_held_back"
)

func syncGroupCodes() []Declaration {
	return []Declaration{
		{
			Code: SyncGroupSplit, Severity: Critical, Role: Director, Subject: "sync group",
			Means:  "the instances of a sync group are in different states, so that two directors hold its virtual addresses",
			Remedy: "the instance that is not MASTER has come to the group by a reload, and another router still holds its virtual addresses: reload the other director too. With keepalived, put its instance into the vrrp_sync_group there",
		},
		{
			Code: SyncGroupHeldBack, Severity: Warning, Role: Director, Subject: "sync group",
			Means:       "an instance of a sync group hears no MASTER, and another one hears one to which it gives way, so that the group stays BACKUP",
			Remedy:      "look whether that router holds the virtual addresses of both instances. If it does, its adverts do not arrive on the interface of the first one: repair the network between the two, or the packet filter. If it does not, its instances do not move together: put both of them into one sync group there (vrrp_sync_group of keepalived), or reload the director",
			ExplainedBy: []Code{InstanceFault, SocketUnavailable},
		},
	}
}
