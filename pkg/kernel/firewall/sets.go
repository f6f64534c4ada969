package firewall

import (
	"bytes"
	"encoding/json"
	"slices"
)

// nftSets are the elements of the named sets and maps of all tables, by table and name, in the form in which nft -j prints
// an anonymous one: {"set": [...]}. Those that packets or a time change are left out.
type nftSets map[[2]string]json.RawMessage

func setsOf(all []statement) nftSets {
	sets := nftSets{}
	for _, object := range all {
		raw := object["set"]
		if raw == nil {
			raw = object["map"]
		}
		var s struct {
			Family, Table, Name string
			Flags               json.RawMessage
			Elem                json.RawMessage
		}
		if raw == nil || json.Unmarshal(raw, &s) != nil {
			continue
		}
		if flags, _ := valuesOf(s.Flags); slices.Contains(flags, "dynamic") || slices.Contains(flags, "timeout") {
			continue
		}
		if s.Elem == nil {
			s.Elem = json.RawMessage("[]")
		}
		sets[[2]string{s.Family + " " + s.Table, s.Name}] = slices.Concat([]byte(`{"set":`), s.Elem, []byte("}"))
	}
	return sets
}

// fill puts the elements of sets and maps in place of their names: on the right of a match, and as the data of a verdict
// map.
func (n nftSets) fill(table string, all []statement) []statement {
	var filled []statement
	for _, s := range all {
		kind, key := "match", "right"
		if s["vmap"] != nil {
			kind, key = "vmap", "data"
		}
		if bytes.Contains(s[kind], []byte(`"@`)) {
			if body := n.name(table, s[kind], key); body != nil {
				s = statement{kind: body}
			}
		}
		filled = append(filled, s)
	}
	return filled
}

// name returns a statement with the elements of the set that its key names; nil if it names none that is known.
func (n nftSets) name(table string, raw json.RawMessage, key string) json.RawMessage {
	var body map[string]json.RawMessage
	var name string
	if json.Unmarshal(raw, &body) != nil || json.Unmarshal(body[key], &name) != nil || len(name) < 2 {
		return nil
	}
	elements, known := n[[2]string{table, name[1:]}]
	if !known {
		return nil
	}
	body[key] = elements
	filled, _ := json.Marshal(body) // a map of valid JSON
	return filled
}
