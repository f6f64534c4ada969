package config

import "time"

// BeforeVIP is what the VIPs of a new MASTER wait for: until the server of TakeOverRecord has applied its relay log.
type BeforeVIP struct {
	Timeout time.Duration // of the wait
	Fault   bool          // on_timeout: fault; otherwise the VIPs are taken
}

const (
	minBeforeVIP = 100 * time.Millisecond
	maxBeforeVIP = 10 * time.Minute
)

// beforeVIP is a BeforeVIP under construction.
type beforeVIP struct {
	BeforeVIP
	waitFor, onTimeout string
}

func beforeVIPSection() *sectionOf[beforeVIP] {
	s := &sectionOf[beforeVIP]{
		section: section{
			name: "before_vip", part: true, what: "a mapping with wait_for",
			intro: "What the virtual addresses wait for when a director has become MASTER. They are on no director until then: clients wait,\n" +
				"and connect to a database that has everything which it received. See [failover.md](failover.md#waiting-for-the-relay-log).",
		},
	}
	s.fields = []key[beforeVIP]{
		&field[beforeVIP, string]{
			name: "wait_for", kind: oneOf[string](vocabulary{what: "something to wait for", words: []string{"relay_log"}}), in: func(b *beforeVIP) *string { return &b.waitFor },
			required: "relay_log",
			doc:      "`relay_log`: until the database of `take_over_record` has applied what it has received from its sources", reload: Live,
		},
		&field[beforeVIP, time.Duration]{
			name: "timeout", kind: durationIn(minBeforeVIP, maxBeforeVIP), in: func(b *beforeVIP) *time.Duration { return &b.Timeout }, def: 5 * time.Second,
			doc: "how long at most", reload: Live,
		},
		&field[beforeVIP, string]{
			name: "on_timeout", kind: oneOf[string](vocabulary{what: "what to do", words: []string{"take", "fault"}}), in: func(b *beforeVIP) *string { return &b.onTimeout }, def: "take",
			doc: "`take`: the addresses are taken nevertheless. `fault`: the instance goes to FAULT until the relay log is applied, and the other director " +
				"may take them. Also if the thread that applies it has stopped, without waiting", reload: Live,
		},
	}
	return s.build()
}

func beforeVIPField() key[instance] {
	s := beforeVIPSection()
	return &field[instance, *BeforeVIP]{
		name: "before_vip", in: func(i *instance) **BeforeVIP { return &i.BeforeVIP },
		kind: kind[*BeforeVIP]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) *BeforeVIP {
				o, ok := v.object(&s.section)
				if !ok {
					return nil
				}
				b := new(beforeVIP)
				s.take(o, b)
				b.Fault = b.onTimeout == "fault"
				return &b.BeforeVIP
			},
		},
		unset: "nothing", doc: "what its addresses wait for when it becomes MASTER",
	}
}

// checkBeforeVIP rejects a wait for no database.
func (i *instance) checkBeforeVIP(o object) {
	if i.BeforeVIP != nil && o.missing("take_over_record") {
		o.locate("before_vip").fail("add take_over_record: TRACK, with a track of type mysql", "needs the database whose relay log it waits for")
	}
}
