package plan

import (
	"net/netip"
	"time"
)

// fewServers is the number of real servers up to which a failure of all of them may well be one of theirs.
const fewServers = 2

// AllFail returns how many checks there are of real servers, and since when they fail, if all of them began to fail at
// once: the cause is then most likely this director's own network. Otherwise, and with at most fewServers real servers,
// count is 0. since is zero if this director never had a way to any of them.
func (p Plan) AllFail() (count int, since time.Time) {
	var last time.Time
	var apart time.Duration // how far apart checks detect the same failure
	machines := map[netip.Addr]bool{}
	for _, s := range p.Checks {
		if s.Subject.Track != "" || len(s.Checks) == 0 {
			continue
		}
		v, _ := p.Table.Verdicts.Of(s.Subject)
		switch {
		case v.Known && !v.Up && !v.NoNetwork:
			if since.IsZero() || v.Since.Before(since) {
				since = v.Since
			}
			if v.Since.After(last) {
				last = v.Since
			}
		case !v.NoNetwork:
			return 0, time.Time{}
		}
		machines[s.Address] = true
		count += len(s.Checks)
		for _, c := range s.Checks {
			apart = max(apart, time.Duration(c.Fall)*c.Interval+c.Timeout)
		}
	}
	if len(machines) <= fewServers || last.Sub(since) > apart {
		return 0, time.Time{}
	}
	return count, since
}
