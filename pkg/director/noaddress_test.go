package director

import (
	"testing"
	"time"
)

// TestInstanceWithoutAddress: an instance without addresses elects, and a reload can give it addresses and take them away.
func TestInstanceWithoutAddress(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51))
		s := m.Status()
		if len(s.Instances[0].VirtualAddresses) != 0 || len(s.ProblemDetails) > 0 {
			t.Errorf("%+v, %+v", s.Instances, s.ProblemDetails)
		}
		since := s.Instances[0].Since
		m.reload(electing + router("a", "eth0", 51, vip))
		if !m.has("eth0", vip) {
			t.Error("the VIP of a reload is not added")
		}
		m.reload(electing + router("a", "eth0", 51))
		if i := m.Status().Instances[0]; m.has("eth0", vip) || i.State != "MASTER" || i.Since != since {
			t.Errorf("the VIP has not been removed, or there was an election: %+v", i)
		}
		m.pass(time.Minute)
		if problems := m.Status().ProblemDetails; m.state("a") != "MASTER" || len(problems) > 0 {
			t.Errorf("%s, %+v", m.state("a"), problems)
		}
	})
}
