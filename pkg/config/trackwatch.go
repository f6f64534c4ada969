package config

import (
	"regexp"
	"strings"
	"time"
)

// maxTrackDelay is the longest up_delay and down_delay.
const maxTrackDelay = 5 * time.Minute

// Delays are how long something must have been in a new state until that counts; 0: no time.
type Delays struct {
	Up, Down time.Duration
}

// atLeast is a number of things of which so many must be up. All kinds of tracks share the key.
func atLeast() kind[int] { return wholeNumber[int](1, 10000) }

func delayFields[W any](in func(*W) *Delays, up, down []word) []key[W] {
	return []key[W]{
		&field[W, time.Duration]{
			name: "up_delay", kind: durationIn(0, maxTrackDelay), in: func(w *W) *time.Duration { return &in(w).Up },
			doc: "for how long it must have been there until it is up", reload: Live, words: up,
		},
		&field[W, time.Duration]{
			name: "down_delay", kind: durationIn(0, maxTrackDelay), in: func(w *W) *time.Duration { return &in(w).Down },
			doc: "for how long it must have been missing until it is down", reload: Live, words: down,
		},
	}
}

// WatchedInterface is up while a network interface is there, up and has a carrier.
type WatchedInterface struct {
	Interface string
	Delays    Delays
}

// Type returns LinkState.
func (WatchedInterface) Type() CheckType { return LinkState }
func (WatchedInterface) sealed()         {}

func interfaceTrack() trackKind {
	return watching(LinkState, "a network interface is up and has a carrier", append([]key[WatchedInterface]{
		&field[WatchedInterface, string]{
			name: "interface", kind: texts("text", Schema{Pattern: `^[!-.0-9;-?A-~]{1,15}$`, Not: &Schema{Enum: []any{"lo", ".", ".."}}}, value.device),
			in:       func(w *WatchedInterface) *string { return &w.Interface },
			required: "the network interface, for example eth1",
			doc:      "the network interface; that of an instance itself is always watched",
			reload:   Another,
		},
	}, delayFields(func(w *WatchedInterface) *Delays { return &w.Delays },
		[]word{keepalived("interface_up_down_delays").write("`up_delay` and `down_delay` of a track of type `interface`")}, nil)...),
		func(w WatchedInterface, _ object) Watch { return w })
}

// WatchedProcess is up while as many processes as wanted run.
type WatchedProcess struct {
	Process     string // the name of the program, without its directory; "" if CommandLine is set
	CommandLine string // a regular expression that the arguments, separated by spaces, match; "" if Process is set
	Owner       string // their user; "": any
	AtLeast     int    // 1 or more; 0 with AtMost only
	AtMost      int    // 0: no limit
	Delays      Delays
}

// Type returns Process.
func (WatchedProcess) Type() CheckType { return Process }
func (WatchedProcess) sealed()         {}

func processTrack() trackKind {
	return watching(Process, "a process runs", append([]key[WatchedProcess]{
		&field[WatchedProcess, string]{
			name: "process", kind: texts("text", Schema{Pattern: `^[^/]+$`}, value.programName), in: func(w *WatchedProcess) *string { return &w.Process },
			unset: "none", doc: "the name of its program, without the directory; either this or `command_line` is required", reload: Another,
		},
		&field[WatchedProcess, string]{
			name: "command_line", kind: texts("regular expression", Schema{MinLength: 1}, value.expression), in: func(w *WatchedProcess) *string { return &w.CommandLine },
			unset: "none", doc: "a [regular expression](https://pkg.go.dev/regexp/syntax) that its arguments, separated by spaces, match", reload: Another,
		},
		&field[WatchedProcess, string]{
			name: "owner", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(w *WatchedProcess) *string { return &w.Owner },
			unset: "any", doc: "its user", reload: Live,
		},
		&field[WatchedProcess, int]{
			name: "at_least", kind: atLeast(), in: func(w *WatchedProcess) *int { return &w.AtLeast }, def: 1,
			doc: "how many such processes must run", reload: Live, words: []word{keepalived("quorum")},
		},
		&field[WatchedProcess, int]{
			name: "at_most", kind: atLeast(), in: func(w *WatchedProcess) *int { return &w.AtMost },
			unset: "no limit", doc: "how many of them may run", reload: Live, words: []word{keepalived("quorum_max")},
		},
	}, delayFields(func(w *WatchedProcess) *Delays { return &w.Delays },
		[]word{keepalived("fork_delay")}, []word{keepalived("terminate_delay")})...), readProcess)
}

func readProcess(w WatchedProcess, o object) Watch {
	_, named := o.fields["process"]
	_, matched := o.fields["command_line"]
	switch {
	case !named && !matched:
		o.locate("process").fail("or command_line with a regular expression", "is required: the name of the program")
	case named && matched:
		o.locate("command_line").fail("remove one of the two", "a track has either process or command_line")
	}
	if w.AtMost > 0 && w.AtMost < w.AtLeast {
		o.locate("at_most").fail("", "%d is less than at_least, %d", w.AtMost, w.AtLeast)
	}
	return w
}

// WatchedFile has the value of the number in a file; 0 without one.
type WatchedFile struct {
	Path string // absolute
}

// Type returns File.
func (WatchedFile) Type() CheckType { return File }
func (WatchedFile) sealed()         {}

func fileTrack() trackKind {
	return watching(File, "the number in a file is 0. With a weight, the number times the weight is added to the priority", []key[WatchedFile]{
		&field[WatchedFile, string]{
			name: "path", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(w *WatchedFile) *string { return &w.Path },
			required: "the absolute path of the file",
			doc:      "the file; one that is missing or empty counts as 0",
			reload:   Another,
			words:    []word{keepalived("file")},
		},
	}, func(w WatchedFile, o object) Watch {
		o.warnHidden("path", w.Path)
		return w
	})
}

// WatchedVirtualServer is up while enough real servers of a virtual server are up.
type WatchedVirtualServer struct {
	VirtualServer string
	AtLeast       int // 1 or more
}

// Type returns VirtualServerState.
func (WatchedVirtualServer) Type() CheckType { return VirtualServerState }
func (WatchedVirtualServer) sealed()         {}

func virtualServerTrack() trackKind {
	return watching(VirtualServerState, "enough real servers of a virtual server are up", []key[WatchedVirtualServer]{
		&field[WatchedVirtualServer, string]{
			name: "virtual_server", kind: nodeName, in: func(w *WatchedVirtualServer) *string { return &w.VirtualServer },
			required: "the name of a virtual server",
			doc:      "the name of a virtual server",
			reload:   Live,
		},
		&field[WatchedVirtualServer, int]{
			name: "at_least", kind: atLeast(), in: func(w *WatchedVirtualServer) *int { return &w.AtLeast }, def: 1,
			doc: "how many of its real servers must be up", reload: Live,
		},
	}, func(w WatchedVirtualServer, _ object) Watch { return w })
}

// WatchedInstance is up while another instance of the director is in a state.
type WatchedInstance struct {
	Instance string
	Master   bool // it must be MASTER; otherwise: it must not be in FAULT
}

// Type returns InstanceState.
func (WatchedInstance) Type() CheckType { return InstanceState }
func (WatchedInstance) sealed()         {}

func instanceTrack() trackKind {
	state := oneOf[string](vocabulary{what: "a condition", words: []string{"master", "not_fault"}})
	return watching(InstanceState, "another instance of this director is MASTER, or is not in FAULT", []key[WatchedInstance]{
		&field[WatchedInstance, string]{
			name: "instance", kind: nodeName, in: func(w *WatchedInstance) *string { return &w.Instance },
			required: "the name of another instance",
			doc:      "the name of another instance",
			reload:   Live,
		},
		&field[WatchedInstance, bool]{
			name: "must_be", in: func(w *WatchedInstance) *bool { return &w.Master },
			kind: scalar(state.text, *state.schema, func(v value) bool { return state.read(v) == "master" }), def: true,
			unset: "`master`", doc: "`master`: it is MASTER. `not_fault`: it is not in FAULT", reload: Live,
		},
	}, func(w WatchedInstance, _ object) Watch { return w })
}

// programName reads the name of a program without its directory.
func (v value) programName() string {
	s := v.text()
	if strings.Contains(s, "/") {
		v.fail("write "+s[strings.LastIndex(s, "/")+1:]+", or command_line", "%s is a path: the name of the program is meant", quote(s))
		return ""
	}
	return s
}

// expression reads a regular expression.
func (v value) expression() string {
	s := v.text()
	if _, err := regexp.Compile(s); err != nil {
		v.fail("", "%s is not a regular expression: %v", quote(s), err)
		return ""
	}
	return s
}
