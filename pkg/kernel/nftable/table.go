package nftable

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Table is what a table of ours contains.
type Table struct {
	Name   string // every table of this name and the family inet is ours; Rules sets it
	Sets   []Set
	Chains []Chain
}

// Set is a set or a map with its elements. Name, KeyType, KeyByteOrder, Concatenation, and of a map IsMap and DataType, are
// given.
type Set struct {
	nftables.Set
	Elements []nftables.SetElement
}

// Chain is a chain with its rules. A lookup in a rule names one of the table's sets.
type Chain struct {
	Name     string
	Type     nftables.ChainType  // of a chain with a hook; "": filter
	Hook     *nftables.ChainHook // nil: other chains go to it
	Priority int32               // in the hook
	Rules    [][]expr.Any
}

// intact reports whether a chain of the kernel is this one, without its rules.
func (c Chain) intact(have *nftables.Chain) bool {
	if c.Hook == nil {
		return have.Hooknum == nil
	}
	return have.Hooknum != nil && *have.Hooknum == *c.Hook && have.Type == c.kind() && have.Priority != nil && int32(*have.Priority) == c.Priority &&
		have.Policy != nil && *have.Policy == nftables.ChainPolicyAccept
}

// kind is the type of a chain with a hook.
func (c Chain) kind() nftables.ChainType { return cmp.Or(c.Type, nftables.ChainTypeFilter) }

// describe returns what an expression does, for comparing rules of ours with those of the kernel.
func describe(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Counter:
		return "counter"
	case *expr.Lookup:
		return fmt.Sprintf("lookup %d %s %v %v %d", e.SourceRegister, e.SetName, e.Invert, e.IsDestRegSet, e.DestRegister)
	case *expr.Verdict:
		return fmt.Sprintf("verdict %d %s", e.Kind, e.Chain)
	case *expr.Cmp:
		return fmt.Sprintf("cmp %d %d %x", e.Op, e.Register, e.Data)
	case *expr.Meta:
		return fmt.Sprintf("meta %d %d %v", e.Key, e.Register, e.SourceRegister)
	case *expr.Payload:
		return fmt.Sprintf("payload %d %d %d %d", e.Base, e.Offset, e.Len, e.DestRegister)
	case *expr.Bitwise:
		return fmt.Sprintf("bitwise %d %d %x %x", e.SourceRegister, e.DestRegister, e.Mask, e.Xor)
	case *expr.Ct:
		return fmt.Sprintf("ct %d %d %d %v", e.Key, e.Direction, e.Register, e.SourceRegister)
	case *expr.Masq:
		return fmt.Sprintf("masq %v %v %v", e.Random, e.FullyRandom, e.ToPorts)
	case *expr.Immediate:
		return fmt.Sprintf("immediate %d %x", e.Register, e.Data)
	default:
		return fmt.Sprintf("%T", e)
	}
}

func describeAll(rules [][]expr.Any) []string {
	var all []string
	for _, r := range rules {
		text := ""
		for _, e := range r {
			text += describe(e) + "; "
		}
		all = append(all, text)
	}
	return all
}

// numbered returns the rules with the numbers of the sets, by which a transaction names those that it adds.
func numbered(rules [][]expr.Any, ids map[string]uint32) [][]expr.Any {
	all := make([][]expr.Any, len(rules))
	for n, r := range rules {
		all[n] = slices.Clone(r)
		for i, e := range r {
			if l, is := e.(*expr.Lookup); is {
				one := *l
				one.SetID = ids[l.SetName]
				all[n][i] = &one
			}
		}
	}
	return all
}

// keys returns the elements of a set in a fixed order, those of a map with their values.
func keys(elements []nftables.SetElement) []string {
	var all []string
	for _, e := range elements {
		all = append(all, string(e.Key)+string(e.Val))
	}
	slices.Sort(all)
	return all
}
