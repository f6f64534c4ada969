package director

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
)

// servedIndex finds out what a director does with a connection.
type servedIndex struct {
	of       *config.Config
	instance map[netip.Addr]config.InstanceID
	virtual  map[lvs.Key]syncpeers.Served
	// marked are the virtual servers by firewall mark, by the real servers: a connection does not say which mark it has. With
	// port 0 a real server has every port.
	marked map[netip.AddrPort]syncpeers.Served
}

// read takes in a file, and reports whether it is another one.
func (x *servedIndex) read(cfg *config.Config) bool {
	if x.of == cfg || cfg == nil {
		return false
	}
	*x = servedIndex{of: cfg, instance: map[netip.Addr]config.InstanceID{}, virtual: map[lvs.Key]syncpeers.Served{}, marked: map[netip.AddrPort]syncpeers.Served{}}
	for _, i := range cfg.Instances {
		for _, vip := range i.Held() {
			x.instance[vip.Addr()] = i.ID()
		}
	}
	for _, v := range cfg.VirtualServers {
		for one := range v.Services() {
			s := syncpeers.Served{Known: true, Forward: one.Forward, Others: otherMethods(one), Mark: one.Mark}
			if one.Persistence != nil {
				s.Persistence = one.Persistence.Timeout
			}
			if one.Mark == 0 {
				x.virtual[lvs.KeyOf(one)] = s
				continue
			}
			x.mark(one.RealServers, s)
		}
	}
	return true
}

// mark takes in a virtual server by firewall mark. A real server of several is taken for one of the first; if they have other
// forwarding methods for it, it is not known how its connections are forwarded.
func (x *servedIndex) mark(servers []config.RealServer, s syncpeers.Served) {
	for _, r := range servers {
		at := netip.AddrPortFrom(r.Address, r.Port)
		before, is := x.marked[at]
		switch {
		case !is:
			x.marked[at] = s
		case before.To(at) != s.To(at):
			x.marked[at] = syncpeers.Served{}
		}
	}
}

// find returns what a connection belongs to, without Held; not Known if to nothing.
func (x *servedIndex) find(c lvs.Connection) syncpeers.Served {
	key := lvs.Key{Protocol: c.Protocol, Address: c.Virtual.Addr(), Port: c.Virtual.Port()}
	if s, is := x.virtual[key]; is {
		return s
	}
	key.Port = 0 // of every port
	if s, is := x.virtual[key]; is {
		return s
	}
	if s, is := x.marked[c.Server]; is {
		return s
	}
	return x.marked[netip.AddrPortFrom(c.Server.Addr(), 0)]
}

// otherMethods returns the forwarding methods of the real servers that have another one than their virtual server; nil: none.
func otherMethods(v config.VirtualServer) map[netip.AddrPort]config.Forward {
	var others map[netip.AddrPort]config.Forward
	for _, r := range v.RealServers {
		if v.ForwardTo(r) == v.Forward {
			continue
		}
		if others == nil {
			others = map[netip.AddrPort]config.Forward{}
		}
		others[netip.AddrPortFrom(r.Address, r.Port)] = r.Forward
	}
	return others
}

// served is called for each real server of each virtual address that has connections.
func (c *connectionSync) served(connection lvs.Connection) syncpeers.Served {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.read(c.file()) {
		c.turn++
	}
	id, belongs := c.index.instance[connection.Virtual.Addr()]
	if !belongs {
		return syncpeers.Served{}
	}
	s := c.index.find(connection)
	s.Held, s.Instance = s.Known && c.masters[id], id
	return s
}
