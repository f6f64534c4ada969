package config

import "time"

// interfaceDelayFields are keepalived's interface_up_down_delays, for the interface of an instance itself.
func interfaceDelayFields() []key[instance] {
	return []key[instance]{
		&field[instance, time.Duration]{
			name: "interface_up_delay", kind: durationIn(0, maxTrackDelay), in: func(i *instance) *time.Duration { return &i.InterfaceDelays.Up },
			doc: "for how long the interface must have worked again, without losing its carrier, before the director preempts a MASTER. " +
				"It takes what nobody holds at once. See [failover.md](failover.md#a-link-that-flaps)",
			perNode: perNode, reload: Live,
			words: []word{keepalived("interface_up_down_delays").write("`interface_down_delay` and `interface_up_delay`")},
		},
		&field[instance, time.Duration]{
			name: "interface_down_delay", kind: durationIn(0, maxTrackDelay), in: func(i *instance) *time.Duration { return &i.InterfaceDelays.Down },
			doc: "for how long the interface may be without a carrier before the instance is in FAULT; at most `down_timer_adverts` − 1 advert " +
				"intervals, because the other directors take over after that, and not with `peer_bfd`, with which they do so much earlier",
			perNode: perNode, reload: Live,
		},
	}
}

// checkInterfaceDelays rejects an interface_down_delay after which the other directors have taken over already: the MASTER
// would be one beside another one when the carrier returns.
func (i *instance) checkInterfaceDelays(o object) {
	reported := map[value]bool{}
	for _, d := range i.directors {
		at := i.forNode(d.v.Name)
		most := time.Duration(max(int(at.Variants.DownTimerAdverts), 1)-1) * at.AdvertInterval
		v := o.setting(d.v.Name, "interface_down_delay")
		if at.InterfaceDelays.Down > 0 && at.PeerBFD != nil && !reported[v] {
			reported[v] = true
			v.fail("write 0s, or delete peer_bfd", "with peer_bfd the other directors take over within the detection time of BFD, before it ends")
			continue
		}
		if at.InterfaceDelays.Down <= most || at.AdvertInterval == 0 || reported[v] {
			continue
		}
		reported[v] = true
		hint := "write at most " + span(most)
		if most == 0 {
			hint = "write 0s, or down_timer_adverts: 2 or more"
		}
		v.fail(hint, "%s is longer than down_timer_adverts − 1 advert intervals, %s: the other directors take over before it ends", span(at.InterfaceDelays.Down), span(most))
	}
}
