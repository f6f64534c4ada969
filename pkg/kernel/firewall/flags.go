package firewall

import (
	"encoding/json"
	"slices"
	"strings"
)

// flagBits are the TCP flags, by their names in iptables and nft.
var flagBits = map[string]byte{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECN": 64, "ECE": 64, "CWR": 128, "ALL": 63, "NONE": 0}

const (
	fin byte = 1 << iota
	syn
	rst
	psh
	ack
)

// flagsOf returns the bits of flags.
func flagsOf(names []string) (bits byte, known bool) {
	for _, name := range names {
		bit, is := flagBits[strings.ToUpper(name)]
		if !is {
			return 0, false
		}
		bits |= bit
	}
	return bits, true
}

// tcpFlags matches packets whose flags under a mask have a value. A connection begins with a SYN of its client and one with
// ACK of its server; then come data and, at the end, FIN or RST. A condition that holds for some of them is maybe.
func tcpFlags(mask, value byte) match {
	return func(p Packet) applies {
		if p.Protocol != "tcp" {
			return no
		}
		all := []byte{ack, ack | psh, ack | fin, rst, rst | ack}
		switch {
		case p.first:
			all = []byte{syn}
		case p.ends:
			all = all[2:]
		case p.Way == Forwarded || p.Way == Incoming && p.Tracked: // answers
			all = append(all, syn|ack)
		}
		hits := 0
		for _, flags := range all {
			if flags&mask == value {
				hits++
			}
		}
		switch hits {
		case 0:
			return no
		case len(all):
			return yes
		}
		return maybe
	}
}

// saveFlags matches --tcp-flags of iptables: a mask, and the flags of it that are set.
func saveFlags(arguments []string) match {
	if len(arguments) != 2 {
		return always(maybe)
	}
	mask, okMask := flagsOf(strings.Split(arguments[0], ","))
	value, okValue := flagsOf(strings.Split(arguments[1], ","))
	if !okMask || !okValue {
		return always(maybe)
	}
	return tcpFlags(mask, value)
}

// nftFlags matches a comparison of the TCP flags in nft; ok is false if it is another one.
func nftFlags(op string, left, right json.RawMessage) (m match, ok bool) {
	type field struct {
		Payload struct{ Protocol, Field string }
	}
	isFlags := func(raw json.RawMessage) bool {
		var f field
		return json.Unmarshal(raw, &f) == nil && f.Payload.Protocol == "tcp" && f.Payload.Field == "flags"
	}
	value, known := flagValue(right)
	if !known || !slices.Contains([]string{"==", "!=", "in"}, op) {
		return nil, false
	}
	var masked struct {
		And []json.RawMessage `json:"&"`
	}
	switch {
	case isFlags(left) && op == "in": // one of them is set
		return not(tcpFlags(value, 0)), true
	case isFlags(left):
		m = tcpFlags(255, value)
	case json.Unmarshal(left, &masked) == nil && len(masked.And) == 2 && isFlags(masked.And[0]):
		mask, known := flagValue(masked.And[1])
		if !known {
			return nil, false
		}
		m = tcpFlags(mask, value)
	default:
		return nil, false
	}
	if op == "!=" {
		m = not(m)
	}
	return m, true
}

// flagValue returns the bits of flags in nft: a name, a number, a list of names, or names combined with |.
func flagValue(raw json.RawMessage) (bits byte, known bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return 0, false
	}
	return flagBitsOf(v)
}

func flagBitsOf(v any) (bits byte, known bool) {
	switch v := v.(type) {
	case string:
		return flagsOf([]string{v})
	case float64:
		return byte(v), v >= 0 && v < 256
	case []any:
		for _, one := range v {
			more, ok := flagBitsOf(one)
			if !ok {
				return 0, false
			}
			bits |= more
		}
		return bits, true
	case map[string]any:
		if either, is := v["|"]; is && len(v) == 1 {
			return flagBitsOf(either)
		}
	}
	return 0, false
}
