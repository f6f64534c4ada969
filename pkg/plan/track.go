package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/priority"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Tracked is a track or a BFD session that an instance depends on.
type Tracked struct {
	Use     config.TrackUse
	Type    config.CheckType // "": a BFD session
	Gate    bool
	Verdict health.Verdict
	Effect  priority.Effect

	track config.Track // the zero value for a BFD session
}

// Adverse reports whether the track is in the state that the instance is not meant to be in: down, or up if reversed.
func (t Tracked) Adverse() bool { return t.Verdict.Known && t.Verdict.Up == t.Use.Reverse }

// Standing is the state of an instance of this node, as its election has published it last.
type Standing struct {
	State vrrp.State
	Since time.Time
}

// TracksInstances reports whether an instance depends on the state of another one.
func (p Plan) TracksInstances() bool {
	return slices.ContainsFunc(p.Instances, func(i Instance) bool {
		return slices.ContainsFunc(i.Tracks, func(t Tracked) bool { return t.Type == config.InstanceState })
	})
}

// usesOf returns the tracks that an instance depends on.
func usesOf(i config.Instance) []config.TrackUse { return i.Tracks }

// tracked returns what the instance depends on, in the order of their names.
func (in Inputs) tracked(i config.Instance) []Tracked {
	var all []Tracked
	for _, use := range slices.SortedFunc(slices.Values(usesOf(i)), func(a, b config.TrackUse) int { return cmp.Compare(a.Name, b.Name) }) {
		one := Tracked{Use: use}
		if at := slices.IndexFunc(in.Config.Tracks, func(t config.Track) bool { return t.Name == use.Name }); at >= 0 {
			one.track = in.Config.Tracks[at]
			one.Type, one.Gate = one.track.Type(), one.track.Gate
		}
		all = append(all, one)
	}
	return all
}

// weigh returns the tracks with their present effects.
func (in Inputs) weigh(before []Tracked) []Tracked {
	all := slices.Clone(before)
	for n := range all {
		t := &all[n]
		if t.Type == "" {
			t.Verdict, _ = in.Verdicts.Of(config.Subject{Track: config.TrackID(t.Use.Name)})
		} else {
			t.Verdict = TrackVerdict(t.track, in.pools(), in.Verdicts, in.Decisions, in.Standings)
		}
		v := t.Verdict
		t.Effect = priority.Of(t.Use, t.Type, t.Gate, priority.Result{Known: v.Known, Up: v.Up && !t.doubted(), Value: int(v.Value)})
	}
	return all
}

// doubted reports whether a track keeps the director from becoming MASTER although it is not down yet: a director that has
// just been cut off hears no adverts either, and its master-down timer may end before the last failure that counts.
func (t Tracked) doubted() bool {
	return t.Gate && t.Use.Weight == 0 && !t.Use.Reverse && t.Verdict.Doubtful
}

// pools returns the virtual servers that tracks are about.
func (in Inputs) pools() []config.VirtualServer { return in.Config.VirtualServers }

// TrackVerdict returns the verdict of a track: that of its check or watcher, or, if it is about this director itself, the
// verdict that follows from those of real servers and the states of instances.
func TrackVerdict(t config.Track, pools []config.VirtualServer, verdicts Verdicts, decisions Decisions, standings map[string]Standing) health.Verdict {
	switch w := t.Watch.(type) {
	case config.WatchedVirtualServer:
		return poolVerdict(w, pools, verdicts, decisions)
	case config.WatchedInstance:
		return instanceVerdict(w, standings)
	}
	v, _ := verdicts.Of(config.Subject{Track: config.TrackID(t.Name)})
	return v
}

// poolVerdict counts the real servers that take new connections and that this director reaches. As long as servers of
// which nothing is known could make a difference, the verdict is not known either.
func poolVerdict(w config.WatchedVirtualServer, pools []config.VirtualServer, verdicts Verdicts, decisions Decisions) health.Verdict {
	at := slices.IndexFunc(pools, func(v config.VirtualServer) bool { return v.Name == w.VirtualServer })
	if at < 0 {
		return health.Verdict{}
	}
	servers := slices.DeleteFunc(slices.Clone(pools[at].RealServers), func(r config.RealServer) bool { return r.Role == config.Sorry })
	var up, down []time.Time
	unknown, waiting := 0, false
	for _, r := range servers {
		id := config.ServerID{Service: w.VirtualServer, Server: r.Name}
		v, _ := verdicts.Of(config.Subject{Server: id})
		switch {
		case !decisions.admits(id, r.Weight):
			down = append(down, time.Time{})
		case v.NoNetwork || v.Known && !v.Up:
			down = append(down, v.Since)
		case v.Known:
			up = append(up, v.Since)
		default:
			unknown++
			waiting = waiting || v.Code == ""
		}
	}
	count := fmt.Sprintf("%d of %d real servers of %s take connections, and at least %d must", len(up), len(servers), w.VirtualServer, w.AtLeast)
	switch {
	case len(up) >= w.AtLeast:
		return health.Verdict{Known: true, Up: true, Code: health.OK, Reason: "up: " + count, Since: nth(up, w.AtLeast)}
	case len(up)+unknown < w.AtLeast:
		return health.Verdict{Known: true, Code: health.TooFew, Reason: "down: " + count, Since: nth(down, len(servers)-w.AtLeast+1)}
	}
	v := health.Verdict{Reason: fmt.Sprintf("unknown: %s; %d are not known", count, unknown), Code: health.TooFew}
	if waiting {
		v.Code = ""
	}
	return v
}

// nth returns the nth of some times, the earliest first: when that many of them had passed.
func nth(times []time.Time, n int) time.Time {
	slices.SortFunc(times, time.Time.Compare)
	if n < 1 || n > len(times) {
		return time.Time{}
	}
	return times[n-1]
}

func instanceVerdict(w config.WatchedInstance, standings map[string]Standing) health.Verdict {
	s, there := standings[w.Instance]
	if !there || s.State == vrrp.Init {
		return health.Verdict{Reason: "unknown: " + w.Instance + " has not started"}
	}
	v := health.Verdict{Known: true, Up: s.State != vrrp.Fault, Code: health.OK, Since: s.Since}
	if w.Master {
		v.Up = s.State == vrrp.Master
	}
	word := "up: "
	if !v.Up {
		word, v.Code = "down: ", health.OtherState
	}
	v.Reason = word + w.Instance + " is " + s.State.String()
	return v
}

// gate returns why the instance must not become MASTER, "" if it may: a track for that is down, or, at the start, a track
// whose failure would be a fault has no result yet. Nobody must see a MASTER that finds a moment later that it cannot
// serve.
func (i Instance) gate(starting bool) string {
	var why []string
	for _, t := range i.Tracks {
		switch {
		case t.Effect.Shut:
			why = append(why, t.Use.Name+": "+t.Verdict.Reason)
		case starting && !t.Verdict.Known && t.Verdict.Code == "" && (t.Use.Weight == 0 || t.Type == config.File):
			why = append(why, t.Use.Name+" has no result yet")
		}
	}
	return strings.Join(why, "; ")
}

// Waiting reports whether only a missing first result keeps the instance from becoming MASTER.
func (i Instance) Waiting() bool {
	return !slices.ContainsFunc(i.Tracks, func(t Tracked) bool { return t.Effect.Shut })
}

// points returns the sum of what the tracks add to the priority, with those of the other members of a sync group.
func (i Instance) points() int {
	sum := 0
	for _, t := range slices.Concat(i.Tracks, i.shared) {
		sum += t.Effect.Points
	}
	return sum
}

// PriorityReason says how the priority comes about: "100 in the cluster file, mysql +20, gateway -5".
func (i Instance) PriorityReason() string {
	text := fmt.Sprintf("%d in the cluster file", i.Config.Priority)
	for _, t := range slices.Concat(i.Tracks, i.shared) {
		if t.Effect.Points != 0 {
			text += fmt.Sprintf(", %s %+d (%s)", t.Use.Name, t.Effect.Points, cmp.Or(t.Verdict.Reason, "no result yet"))
		}
	}
	return text
}

// judge sets what depends on the verdicts, on the states of instances and on the readiness.
func (i *Instance) judge(in Inputs, link Link) {
	i.NotReady, i.Empty = in.NotReady, in.Empty
	steady := in.Steadiness.of(i.ID)
	if i.NotReady == "" && steady.returning() {
		i.NotReady = fmt.Sprintf("the interface %s has lost its carrier, and must keep it for %s (interface_up_delay)", i.Config.Interface, i.Config.InterfaceDelays.Up)
	}
	i.Unsteady = steady.sentence(i.Config, link)
	i.Untracked = ""
	if link.NoCarrier && i.excuses(link) {
		i.Untracked = link.Fault + "; that is no fault (dont_track_primary), so that the other director may be MASTER as well"
	}
	i.Tracks = in.weigh(i.Tracks)
	i.Params.Priority = priority.Effective(i.Config.Priority, i.points())
	i.Gate = i.gate(in.Starting)
	if steady.bridges(link) { // a MASTER stays MASTER; a BACKUP hears nobody, and would take the VIPs from one that is there
		i.Gate = cmp.Or(i.Gate, link.Fault)
	}
	i.Faults = i.faults(link, !steady.bridges(link))
	if why := in.HeldBack[i.ID]; why != "" {
		i.Faults = append(i.Faults, Fault{Track: config.TrackID(i.Config.TakeOverRecord), Reason: why})
	}
}
