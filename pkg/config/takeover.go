package config

import (
	"cmp"
	"slices"
)

// takeOverField declares take_over_record.
func takeOverField() key[instance] {
	return &field[instance, string]{
		name: "take_over_record", kind: nodeName, in: func(i *instance) *string { return &i.TakeOverRecord },
		unset: "none",
		doc: "a track of type `mysql`: when this instance becomes MASTER, the positions of its server in the binary log and in replication are " +
			"[recorded](failover.md#take-over-records)",
		reload: Live,
	}
}

// checkTakeOverRecords rejects records of what is no MySQL track.
func (c *contents) checkTakeOverRecords() {
	var names []string
	for _, t := range c.tracks {
		if t.v.kind == MySQL {
			names = append(names, t.v.Name)
		}
	}
	for _, i := range c.instances {
		name := i.v.TakeOverRecord
		if name == "" || slices.Contains(names, name) {
			continue
		}
		at := i.at.locate("take_over_record")
		if slices.ContainsFunc(c.tracks, func(t placed[track]) bool { return t.v.Name == name }) {
			at.fail("name a track of type mysql", "the track %s asks no MySQL server", name)
			continue
		}
		at.fail(cmp.Or(didYouMean(name, names), "add it to tracks at the top level, with type: mysql"), "no track is named %s", name)
	}
}
