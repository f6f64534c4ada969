package problem

// The codes of tracks.
const (
	TrackDown       Code = "track_down"
	TakeOverBarred  Code = "take_over_barred"
	VIPsNotTaken    Code = "vips_not_taken"
	PrioritiesEqual Code = "priorities_equal"
)

// trackCodes are the codes of tracks that do not put an instance into FAULT.
func trackCodes() []Declaration {
	return []Declaration{
		{
			Code: TrackDown, Severity: Warning, Role: Director, Subject: "track",
			Means:       "a track with a weight is down, or, with reverse, up: an instance has another priority than with all tracks in order",
			Remedy:      "repair what the track checks: the reason says what it found. lvsctl status shows the priority, and lvsctl check --explain who is MASTER with it",
			ExplainedBy: []Code{InstanceFault},
		},
		{
			Code: TakeOverBarred, Severity: Warning, Role: Director, Subject: "instance",
			Means:       "a track with when: becoming_master is down: this director does not become MASTER, also if the MASTER fails",
			Remedy:      "repair what the track checks: the reason says what it found. If it is the gateway, compare with the other director: if that one reaches it, look at the network of this one",
			ExplainedBy: []Code{InstanceFault, VIPsNotTaken},
		},
		{
			Code: VIPsNotTaken, Severity: Critical, Role: Director, Subject: "instance",
			Means:       "no director has the VIPs, and this one does not take them, because a track with when: becoming_master is down, or does not take them yet, because it has just started or had a fault, or because of startup_delay: clients fail",
			Remedy:      "act on the reason. A track: repair what it checks; the director then takes the VIPs within two advert intervals. If clients can be served nevertheless, remove the track from the instance and run lvsctl reload. After a start or a fault it takes them after a master-down interval (three advert intervals and the skew): if the fault returns before that, such as with a link that flaps, repair what causes it. startup_delay: wait, or shorten it and run lvsctl reload",
			ExplainedBy: []Code{InstanceFault, LinkSilent},
		},
		{
			Code: PrioritiesEqual, Severity: Warning, Role: Director, Subject: "instance",
			Means:  "the MASTER and this director have the same priority, and the instance has weights: a change of priorities was to decide who is MASTER, and it does not",
			Remedy: "choose weights that are larger than the difference of the priorities: lvsctl check --explain shows who is MASTER for each result of the tracks",
		},
	}
}
