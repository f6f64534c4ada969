package nftable

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

// chunk limits the elements of one message, whose attributes hold 64 KiB.
const chunk = 1000

// socketBuffer holds a transaction with the addresses of 255 full instances, and the answers to it.
const socketBuffer = 8 << 20

// conn is a connection to the nf_tables of the network namespace of the calling thread, for one table.
type conn struct {
	*nftables.Conn
	table string
}

func open(ctx context.Context, table string) (conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error { return prepare(ctx, c) }))
	k := conn{c, table}
	if err != nil {
		return k, k.known(err)
	}
	return k, nil
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

func (k conn) ours() *nftables.Table {
	return &nftables.Table{Name: k.table, Family: nftables.TableFamilyINet}
}

// present reports whether there is a table of ours. A kernel without nf_tables answers this request with EINVAL (nfnetlink_rcv_msg); others
// may be wrong themselves.
func (k conn) present() (bool, error) {
	switch _, err := k.ListTableOfFamily(k.table, nftables.TableFamilyINet); {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.EINVAL):
		return false, kernel.ErrNoNFTables
	default:
		return false, k.known(err)
	}
}

// known replaces the errors of a kernel without nf_tables or without the family inet.
func (k conn) known(err error) error {
	for _, missing := range []error{unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT} {
		if errors.Is(err, missing) {
			return kernel.ErrNoNFTables
		}
	}
	what := "nf_tables"
	if k.table != "" {
		what += ": the table " + k.table
	}
	return fmt.Errorf("%s: %w", what, errno.Translate(err, "CAP_NET_ADMIN"))
}

// put replaces the table.
func put(ctx context.Context, t Table) error {
	k, err := open(ctx, t.Name)
	if err != nil {
		return err
	}
	// An error of the first message alone would leave the others without an answer, until the deadline.
	if _, err := k.present(); err != nil {
		return err
	}
	table := k.AddTable(k.ours()) // so that it can be deleted
	k.DelTable(table)
	k.AddTable(table)
	ids := map[string]uint32{}
	for n, s := range t.Sets {
		s.Table, s.ID = table, uint32(n+1)
		ids[s.Name] = s.ID
		if err := k.fill(&s); err != nil {
			return fmt.Errorf("the set %s: %w", s.Name, err)
		}
	}
	accepts := nftables.ChainPolicyAccept
	added := make([]*nftables.Chain, len(t.Chains))
	for n, c := range t.Chains { // all of them before their rules, which may go to others
		chain := &nftables.Chain{Name: c.Name, Table: table}
		if c.Hook != nil {
			chain.Type, chain.Hooknum, chain.Policy = c.kind(), c.Hook, &accepts
			chain.Priority = nftables.ChainPriorityRef(nftables.ChainPriority(c.Priority))
		}
		added[n] = k.AddChain(chain)
	}
	for n, c := range t.Chains {
		for _, r := range numbered(c.Rules, ids) {
			k.AddRule(&nftables.Rule{Table: table, Chain: added[n], Exprs: r})
		}
	}
	if err := k.Flush(); err != nil {
		return k.known(err)
	}
	return nil
}

func (k conn) fill(s *Set) error {
	if err := k.AddSet(&s.Set, nil); err != nil {
		return err
	}
	for part := range slices.Chunk(s.Elements, chunk) {
		if err := k.SetAddElements(&s.Set, part); err != nil {
			return err
		}
	}
	return nil
}

// intact reports whether the kernel has the table as it is given.
func intact(ctx context.Context, t Table) (bool, error) {
	k, err := open(ctx, t.Name)
	if err != nil {
		return false, err
	}
	if there, err := k.present(); !there {
		return false, err
	}
	same, err := k.sameChains(ctx, t)
	if err == nil && same {
		same, err = k.sameElements(t)
	}
	if err != nil && gone(err) { // somebody has just removed it
		return false, nil
	}
	return same, err
}

// gone reports whether the object of a request is not there. The library does not wrap the error of some requests.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), unix.ENOENT.Error())
}

func (k conn) sameChains(ctx context.Context, t Table) (bool, error) {
	chains, err := k.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, k.known(err)
	}
	found := 0
	for _, have := range chains {
		if have.Table.Name != t.Name {
			continue
		}
		at := slices.IndexFunc(t.Chains, func(c Chain) bool { return c.Name == have.Name })
		if at < 0 || !t.Chains[at].intact(have) {
			return false, nil
		}
		found++
		rules, err := k.rules(ctx, have.Name)
		if err != nil {
			return false, fmt.Errorf("the chain %s: %w", have.Name, err)
		}
		if !slices.Equal(describeAll(rules), describeAll(t.Chains[at].Rules)) {
			return false, nil
		}
	}
	return found == len(t.Chains), nil
}

func (k conn) sameElements(t Table) (bool, error) {
	for _, want := range t.Sets {
		have, err := k.GetSetElements(&nftables.Set{Table: k.ours(), Name: want.Name})
		if err != nil {
			return false, fmt.Errorf("the set %s: %w", want.Name, err)
		}
		if !slices.Equal(keys(have), keys(want.Elements)) {
			return false, nil
		}
	}
	return true, nil
}

// remove removes the table of a name, if there is one, and reports whether there was.
func remove(ctx context.Context, name string) (removed bool, err error) {
	k, err := open(ctx, name)
	if err != nil {
		return false, err
	}
	switch there, err := k.present(); {
	case errors.Is(err, kernel.ErrNoNFTables):
		return false, nil
	case !there:
		return false, err
	}
	k.DelTable(k.ours())
	if err := k.Flush(); err != nil && !gone(err) {
		return false, k.known(err)
	}
	return true, nil
}

// generation returns the number of Rules.Generation.
func generation(ctx context.Context) (uint32, error) {
	k := conn{}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, k.known(err)
	}
	defer func() { _ = c.Close() }()
	if err := prepare(ctx, c); err != nil {
		return 0, k.known(err)
	}
	answer, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN), Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, k.known(err)
	}
	for _, m := range answer {
		if len(m.Data) < 4 {
			continue
		}
		attributes, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return 0, k.known(err)
		}
		attributes.ByteOrder = binary.BigEndian
		for attributes.Next() {
			if attributes.Type() == unix.NFTA_GEN_ID {
				return attributes.Uint32(), nil
			}
		}
	}
	return 0, k.known(errors.New("no generation in the kernel's answer"))
}
