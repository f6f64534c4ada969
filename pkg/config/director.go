package config

import "net/netip"

func readDirectors(v value) []placed[Director] {
	var list []placed[Director]
	items := v.items("directors")
	if items != nil && len(items) == 0 {
		v.fail("", "is empty: want at least one director, with name and address")
	}
	for _, item := range items {
		if o, ok := item.object("a director with name and address", directorSection); ok {
			list = append(list, placed[Director]{at: o, v: Director{
				Name:    required(o, "name", "the node name, usually the host name", value.name),
				Address: required(o, "address", "the director's own IPv4 address", value.directorAddress),
			}})
		}
	}
	unique(list, "name", func(d Director) string { return d.Name })
	unique(list, "address", func(d Director) netip.Addr { return d.Address })
	return list
}

// directorAddress reads the address that adverts come from: one that the other directors can reach.
func (v value) directorAddress() netip.Addr {
	addr := v.address()
	if addr.IsLoopback() {
		v.fail("", "%s is a loopback address: the other directors cannot hear adverts from it", addr)
		return netip.Addr{}
	}
	return addr
}
