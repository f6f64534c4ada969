package statefile

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// version is the version of the files that are written. Version 1, whose services have no mark and a string as port,
// can be read. A daemon that does not know marks would consider every firewall-mark service its own, so it must not
// accept version 2.
const version = 2

// decode parses a content from untrusted bytes.
func decode(data []byte) (content, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return content{}, err
	}
	var b content
	var err error
	switch head.Version {
	case version:
		err = json.Unmarshal(data, &b)
	case 1:
		b, err = decode1(data)
	default:
		err = fmt.Errorf("version %d is not 1 or %d", head.Version, version)
	}
	if err != nil {
		return content{}, err
	}
	// A file that was edited manually may be unsorted and contain duplicates.
	replace(&b.Addresses, b.Addresses, compareAddresses)
	replace(&b.Services, b.Services, lvs.Key.Compare)
	replace(&b.Sysctls, merged(nil, b.Sysctls), compareSysctls)
	b.addRouting(nil, nil)
	replace(&b.OnStandby, b.OnStandby, lvs.OnStandby.Compare)
	return b, nil
}

// decode1 reads a file of version 1.
func decode1(data []byte) (content, error) {
	var old struct {
		content
		Services []struct {
			Protocol string `json:"protocol"`
			Address  string `json:"address"`
			Port     string `json:"port"`
		} `json:"services"`
	}
	if err := json.Unmarshal(data, &old); err != nil {
		return content{}, err
	}
	b := old.content
	b.Version = version
	for _, s := range old.Services {
		address, err := netip.ParseAddr(s.Address)
		port, portErr := strconv.ParseUint(s.Port, 10, 16)
		if err == nil && portErr == nil && s.Protocol != lvs.FirewallMark { // version 1 does not contain the mark
			b.Services = append(b.Services, lvs.Key{Protocol: s.Protocol, Address: address, Port: uint16(port)})
		}
	}
	return b, nil
}

// addresses are written as {"interface": "lo", "prefix": "10.77.0.100/32"}.
type addresses []kernel.IfAddr

type address struct {
	Interface string `json:"interface"`
	Prefix    string `json:"prefix"`
}

// MarshalJSON implements json.Marshaler.
func (all addresses) MarshalJSON() ([]byte, error) {
	written := make([]address, len(all))
	for i, a := range all {
		written[i] = address{a.Interface, a.Prefix.String()}
	}
	return json.Marshal(written)
}

// UnmarshalJSON implements json.Unmarshaler. An entry whose prefix is invalid was never put on an interface: it is
// skipped, and the others are kept.
func (all *addresses) UnmarshalJSON(data []byte) error {
	var written []address
	if err := json.Unmarshal(data, &written); err != nil {
		return err
	}
	*all = nil
	for _, a := range written {
		if p, err := netip.ParsePrefix(a.Prefix); err == nil {
			*all = append(*all, kernel.IfAddr{Interface: a.Interface, Prefix: p})
		}
	}
	return nil
}

// services are written as {"protocol": "tcp", "address": "10.77.0.100", "port": 3306} or, by firewall mark, as
// {"protocol": "fwm", "address": "::", "mark": 5} with the unspecified address of their family.
type services []lvs.Key

type service struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     uint16 `json:"port,omitempty"`
	Mark     uint32 `json:"mark,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (all services) MarshalJSON() ([]byte, error) {
	written := make([]service, len(all))
	for i, k := range all {
		written[i] = service{k.Protocol, k.Address.String(), k.Port, k.Mark}
	}
	return json.Marshal(written)
}

// UnmarshalJSON implements json.Unmarshaler. An entry without a valid address was never put into the table and is
// skipped.
func (all *services) UnmarshalJSON(data []byte) error {
	var written []service
	if err := json.Unmarshal(data, &written); err != nil {
		return err
	}
	*all = nil
	for _, s := range written {
		if address, err := netip.ParseAddr(s.Address); err == nil {
			*all = append(*all, lvs.Key{Protocol: s.Protocol, Address: address, Port: s.Port, Mark: s.Mark})
		}
	}
	return nil
}
