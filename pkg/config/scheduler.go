package config

// SchedulerFlags are the flags of the schedulers sh and mh.
type SchedulerFlags struct {
	Fallback bool // a client whose real server takes no connections gets another one
	Port     bool // the client's port counts, not only its address
}

func schedulerFlagsField() key[virtualServer] {
	return &field[virtualServer, SchedulerFlags]{
		name: "scheduler_flags", in: func(s *virtualServer) *SchedulerFlags { return &s.SchedulerFlags }, kind: schedulerFlags(),
		unset: "none",
		doc: "of `sh` and `mh`: `fallback`, a client whose real server takes no connections gets another one; `port`, connections of one " +
			"client are distributed, too",
		reload: Live,
		words:  []word{keepalived("sched_flags")},
	}
}

func schedulerFlags() kind[SchedulerFlags] {
	item, one := oneOf[string](vocabulary{
		what: "a flag", words: []string{"fallback", "port"},
		synonyms: map[string]string{"sh-fallback": "fallback", "mh-fallback": "fallback", "flag-1": "fallback", "sh-port": "port", "mh-port": "port", "flag-2": "port"},
	}), 1
	return scalar("list of flags", Schema{Type: "array", Items: item.schema, MinItems: &one}, func(v value) SchedulerFlags {
		v.notEmpty("at least one flag")
		var flags SchedulerFlags
		for _, i := range v.items("flags") {
			switch item.read(i) {
			case "fallback":
				flags.Fallback = true
			case "port":
				flags.Port = true
			}
		}
		return flags
	})
}

// hashes reports whether the scheduler chooses by a hash of the client.
func hashes(scheduler string) bool { return scheduler == "sh" || scheduler == "mh" }

// checkScheduler compares the scheduler with its flags, and warns about what is seldom meant.
func (s *virtualServer) checkScheduler(o object) {
	s.checkUDP(o)
	switch {
	case s.Scheduler == "":
	case s.SchedulerFlags != SchedulerFlags{} && !hashes(s.Scheduler):
		o.locate("scheduler_flags").fail("remove them, or use scheduler: mh", "are for sh and mh: %s has no flags", s.Scheduler)
	case hashes(s.Scheduler) && !s.SchedulerFlags.Fallback:
		o.locate("scheduler").warn("add scheduler_flags: [fallback]", "with %s alone, the clients of a real server that takes no connections are refused", s.Scheduler)
	case s.Scheduler == "dh" || s.Scheduler == "lblc" || s.Scheduler == "lblcr":
		o.locate("scheduler").warn("use another one, such as wlc, except for transparent proxies", "%s chooses by the address that clients connect to, which is always the same here: they go to one real server", s.Scheduler)
	case s.Scheduler == "ovf":
		o.locate("scheduler").warn("use wlc if clients must not be refused", "ovf takes a weight for the number of connections that a real server can have; when all have so many, clients are refused")
	}
}
