package migration

import (
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// maxAddresses is how many addresses a virtual server can have.
const maxAddresses = 1024

// pool is a virtual_server_group of addresses with the same ports.
type pool struct {
	addresses []string
	ports     []int
	mark      int
}

func (p *pool) write(r *reader, v *service) {
	switch {
	case p.mark != 0:
		r.set(v.object, "fwmark", p.mark, nil)
		r.set(v.object, "marking", "none", nil)
		v.many = true
		return
	case len(p.addresses) == 1:
		r.set(v.object, "address", p.addresses[0], nil)
	default:
		r.set(v.object, "addresses", p.addresses, nil)
	}
	if v.many = len(p.ports) > 1 || p.ports[0] == 0; len(p.ports) == 1 {
		r.set(v.object, "port", p.ports[0], nil)
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, port := range p.ports {
		list.Content = append(list.Content, encode(port))
	}
	r.set(v.object, "ports", list, nil)
}

// readPool reads a virtual_server_group: lines of ADDRESS PORT or ADDRESS-N PORT, or a single fwmark N. Its addresses can be one
// virtual server if all of them have the same ports.
func (r *reader) readPool(s *conftree.Statement) {
	p := &pool{}
	ports := map[string][]int{} // of each address
	good := true
	for _, line := range s.Block {
		if mark, err := strconv.ParseUint(line.Arg(1), 0, 32); line.Keyword() == "fwmark" && err == nil && len(s.Block) == 1 && mark > 0 {
			p.mark = int(mark)
			r.rest(line)
			continue
		}
		addresses, ok := addressRange(line.Keyword())
		port, err := strconv.Atoi(line.Arg(1))
		if !ok || err != nil && line.Arg(1) != "" || port < 0 || port > 65535 {
			r.judge(line, Refused, "it is ADDRESS PORT or ADDRESS-N PORT, or a single fwmark N")
			good = false
		}
		for _, a := range addresses {
			if ports[a] == nil {
				p.addresses = append(p.addresses, a)
			}
			if !slices.Contains(ports[a], port) {
				ports[a] = append(ports[a], port)
			}
		}
		r.rest(line)
	}
	for _, a := range p.addresses {
		slices.Sort(ports[a])
		if p.ports = ports[p.addresses[0]]; !slices.Equal(ports[a], p.ports) {
			r.judge(s, Refused, "all addresses of one virtual server have the same ports: write another virtual server for %s, which has others", a)
			return
		}
	}
	switch {
	case !good:
	case len(p.addresses) > maxAddresses:
		r.judge(s, Refused, "it has more than %d addresses: write several virtual servers", maxAddresses)
	case len(p.addresses) > 0 || p.mark > 0:
		r.pools[s.Arg(1)] = p
	default:
		r.judge(s, Refused, "it has no address")
	}
}
