package plan

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TakeOver is an instance whose take-overs are recorded, and the check of the database whose positions are.
type TakeOver struct {
	Instance config.InstanceID
	Name     string
	Address  netip.AddrPort
	Check    config.Check
	User     string
	// Wait: the VIPs wait until the database has applied its relay log, for at most Timeout; then the instance goes to FAULT if
	// Fault is set.
	Wait    bool
	Timeout time.Duration
	Fault   bool
}

// takeOvers returns the instances whose take-overs are recorded, in the order of the file.
func takeOvers(cfg *config.Config) []TakeOver {
	var all []TakeOver
	for _, i := range cfg.Instances {
		at := slices.IndexFunc(cfg.Tracks, func(t config.Track) bool { return t.Name == i.TakeOverRecord })
		if i.TakeOverRecord == "" || at < 0 {
			continue
		}
		t := cfg.Tracks[at]
		user, is := t.MySQLAccount()
		if !is {
			continue
		}
		one := TakeOver{Instance: i.ID(), Name: i.Name, Address: netip.AddrPortFrom(t.Address, t.Check.Port), Check: t.Check, User: user}
		if b := i.BeforeVIP; b != nil {
			one.Wait, one.Timeout, one.Fault = true, b.Timeout, b.Fault
		}
		all = append(all, one)
	}
	return all
}
