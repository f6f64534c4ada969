package reconcile

import (
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// failureKept is how long at least a failure to write VIPs is reported after the last attempt. A MASTER that has lost its
// VIPs resigns, and tries again when it is MASTER again.
const failureKept = 4 * time.Second

// failure is the last failure to write the VIPs of an instance, since which they were not written.
type failure struct {
	iface string
	vip   netip.Prefix
	err   error
	until time.Duration // for how long it is reported
}

// fail records that the VIPs of an instance could not be written.
func (a *Addresses) fail(name config.InstanceID, h *held, vip netip.Prefix, err error) {
	now := a.now()
	h.failed(now)
	if text := err.Error(); text != h.loggedError {
		h.loggedError = text
		a.log.Error("cannot keep a VIP; trying again", "instance", h.vips.Label(), "vip", vip.String(), "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures[name] = failure{h.vips.On(vip), vip, err, now + max(h.vips.Lease, failureKept)}
}

// succeeded records that the VIPs of an instance were written.
func (a *Addresses) succeeded(name config.InstanceID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failures, name)
}

// failing returns the failures that are reported now. The caller holds mu.
func (a *Addresses) failing() (all []Trouble) {
	now := a.now()
	for name, f := range a.failures {
		if now > f.until {
			delete(a.failures, name)
			continue
		}
		all = append(all, Trouble{Instance: name, Interface: f.iface, VIP: f.vip, Failed: f.err})
	}
	return all
}
