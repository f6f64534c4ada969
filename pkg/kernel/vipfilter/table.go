package vipfilter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

// ErrNoNFTables says that the kernel cannot have the table.
var ErrNoNFTables = errors.New("this kernel has no nf_tables for IPv4 and IPv6 (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET), which accept_mode: false needs: use another kernel, or write accept_mode: true")

// Table is the table in the network namespace of the calling thread. It keeps nothing open. The zero value is ready.
type Table struct{}

// base is the chain in the hook input.
const base = "input"

// chunk limits the elements of one message, whose attributes hold 64 KiB.
const chunk = 1000

// socketBuffer holds a transaction with the addresses of 255 full instances, and the answers to it.
const socketBuffer = 8 << 20

func conn(ctx context.Context) (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error { return prepare(ctx, c) }))
}

// prepare gives a socket the deadline of ctx, and room for a large table.
func prepare(ctx context.Context, c *netlink.Conn) error {
	if deadline, limited := ctx.Deadline(); limited {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
}

func ours() *nftables.Table {
	return &nftables.Table{Name: kernel.ClosedTable, Family: nftables.TableFamilyINet}
}

// present reports whether there is a table of ours.
func present(c *nftables.Conn) (bool, error) {
	switch _, err := c.ListTableOfFamily(kernel.ClosedTable, nftables.TableFamilyINet); {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	default:
		return false, known(err)
	}
}

// known replaces the errors of a kernel without nf_tables or without the family inet.
func known(err error) error {
	for _, missing := range []error{unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EINVAL} {
		if errors.Is(err, missing) {
			return ErrNoNFTables
		}
	}
	return fmt.Errorf("the nf_tables table %s: %w", kernel.ClosedTable, errno.Translate(err, "CAP_NET_ADMIN"))
}

// Put replaces the table by the rules for c. The kernel drops no packet that both accept, and accepts none that both drop.
func (Table) Put(ctx context.Context, c kernel.Closed) error {
	nft, err := conn(ctx)
	if err != nil {
		return known(err)
	}
	// An error of the first message alone would leave the others without an answer, until the deadline.
	if _, err := present(nft); err != nil {
		return err
	}
	table := nft.AddTable(ours()) // so that it can be deleted
	nft.DelTable(table)
	nft.AddTable(table)
	ids := map[string]uint32{}
	elements := contents(c)
	for _, f := range families() {
		sets, err := f.sets(table, uint32(len(ids)+1))
		if err != nil {
			return err
		}
		for _, s := range sets {
			ids[s.Name] = s.ID
			if err := fill(nft, s, elements[s.Name]); err != nil {
				return fmt.Errorf("the set %s: %w", s.Name, err)
			}
		}
	}
	accepts := nftables.ChainPolicyAccept
	input := nft.AddChain(&nftables.Chain{
		Name: base, Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput,
		Priority: nftables.ChainPriorityRef(afterIPVS), Policy: &accepts,
	})
	for _, f := range families() {
		chain := nft.AddChain(&nftables.Chain{Name: f.chain, Table: table})
		add(nft, table, chain, f.rules(ids))
	}
	add(nft, table, input, entrance(ids))
	if err := nft.Flush(); err != nil {
		return known(err)
	}
	return nil
}

func fill(nft *nftables.Conn, s *nftables.Set, elements []nftables.SetElement) error {
	if err := nft.AddSet(s, nil); err != nil {
		return err
	}
	for part := range slices.Chunk(elements, chunk) {
		if err := nft.SetAddElements(s, part); err != nil {
			return err
		}
	}
	return nil
}

func add(nft *nftables.Conn, table *nftables.Table, chain *nftables.Chain, rules [][]expr.Any) {
	for _, r := range rules {
		nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r})
	}
}

// Intact reports whether the table has the rules for c, and nothing else.
func (Table) Intact(ctx context.Context, c kernel.Closed) (bool, error) {
	nft, err := conn(ctx)
	if err != nil {
		return false, known(err)
	}
	if there, err := present(nft); !there {
		return false, err
	}
	switch same, err := sameChains(nft); {
	case err != nil && gone(err): // somebody has just removed it
		return false, nil
	case err != nil || !same:
		return false, err
	}
	same, err := sameElements(nft, c)
	if err != nil && gone(err) {
		return false, nil
	}
	return same, err
}

// gone reports whether the object of a request is not there. The library does not wrap the error of some requests.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), unix.ENOENT.Error())
}

func sameChains(nft *nftables.Conn) (bool, error) {
	chains, err := nft.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, known(err)
	}
	want := map[string][]string{base: describeAll(entrance(nil))}
	for _, f := range families() {
		want[f.chain] = describeAll(f.rules(nil))
	}
	found := 0
	for _, c := range chains {
		if c.Table.Name != kernel.ClosedTable {
			continue
		}
		rules, of := want[c.Name]
		if !of || c.Name == base && !hooked(c) {
			return false, nil
		}
		found++
		have, err := nft.GetRules(ours(), c)
		if err != nil {
			return false, fmt.Errorf("the chain %s: %w", c.Name, err)
		}
		var exprs [][]expr.Any
		for _, r := range have {
			exprs = append(exprs, r.Exprs)
		}
		if !slices.Equal(describeAll(exprs), rules) {
			return false, nil
		}
	}
	return found == len(want), nil
}

func hooked(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookInput && c.Priority != nil && *c.Priority == afterIPVS &&
		c.Policy != nil && *c.Policy == nftables.ChainPolicyAccept
}

func sameElements(nft *nftables.Conn, c kernel.Closed) (bool, error) {
	for name, want := range contents(c) {
		have, err := nft.GetSetElements(&nftables.Set{Table: ours(), Name: name})
		if err != nil {
			return false, fmt.Errorf("the set %s: %w", name, err)
		}
		if !slices.Equal(keys(have), keys(want)) {
			return false, nil
		}
	}
	return true, nil
}

func keys(elements []nftables.SetElement) []string {
	var all []string
	for _, e := range elements {
		all = append(all, string(e.Key))
	}
	slices.Sort(all)
	return all
}

// Remove removes the table, if there is one, and reports whether there was.
func (Table) Remove(ctx context.Context) (removed bool, err error) {
	nft, err := conn(ctx)
	if err != nil {
		return false, known(err)
	}
	switch there, err := present(nft); {
	case errors.Is(err, ErrNoNFTables):
		return false, nil
	case !there:
		return false, err
	}
	nft.DelTable(ours())
	if err := nft.Flush(); err != nil && !gone(err) {
		return false, known(err)
	}
	return true, nil
}

// Generation returns a number that the kernel changes with every change of nf_tables in this network namespace.
func (Table) Generation(ctx context.Context) (uint32, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, known(err)
	}
	defer func() { _ = c.Close() }()
	if err := prepare(ctx, c); err != nil {
		return 0, known(err)
	}
	answer, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN), Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, known(err)
	}
	for _, m := range answer {
		if len(m.Data) < 4 {
			continue
		}
		attributes, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return 0, known(err)
		}
		attributes.ByteOrder = binary.BigEndian
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_GEN_ID {
				return attributes.Uint32(), nil
			}
		}
	}
	return 0, known(errors.New("no generation in the kernel's answer"))
}
