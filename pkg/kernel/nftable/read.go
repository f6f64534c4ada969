package nftable

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rules reads the rules of a chain. The library reads none with the direction of a connection, which it takes for four bytes, and
// skips expressions that it does not know, which are nil here.
func (k conn) rules(ctx context.Context, chain string) ([][]expr.Any, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := prepare(ctx, c); err != nil {
		return nil, err
	}
	of, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(k.table), 0)}, {Type: unix.NFTA_RULE_CHAIN, Data: append([]byte(chain), 0)},
	})
	if err != nil {
		return nil, err
	}
	found, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{byte(nftables.TableFamilyINet), unix.NFNETLINK_V0, 0, 0}, of...),
	})
	if err != nil {
		return nil, err
	}
	all := make([][]expr.Any, 0, len(found))
	for _, m := range found {
		r, err := expressions(m.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// expressions returns those of a rule in a message of the kernel.
func expressions(message []byte) ([]expr.Any, error) {
	const header = 4
	if len(message) < header {
		return nil, errors.New("a rule without a header")
	}
	rule, err := attributes(message[header:])
	if err != nil {
		return nil, err
	}
	var all []expr.Any
	for rule.Next() {
		if rule.Type() != unix.NFTA_RULE_EXPRESSIONS {
			continue
		}
		list, err := attributes(rule.Bytes())
		if err != nil {
			return nil, err
		}
		for list.Next() {
			e, err := expression(list.Bytes())
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		if err := list.Err(); err != nil {
			return nil, err
		}
	}
	return all, rule.Err()
}

// attributes decodes what the kernel has in network byte order.
func attributes(b []byte) (*netlink.AttributeDecoder, error) {
	d, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return nil, err
	}
	d.ByteOrder = binary.BigEndian
	return d, nil
}

// expression decodes an expression, of which the kernel tells the name first; nil if it is of no kind that rules of ours have.
func expression(b []byte) (expr.Any, error) {
	d, err := attributes(b)
	if err != nil {
		return nil, err
	}
	var name string
	var data []byte
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_EXPR_NAME:
			name = d.String()
		case unix.NFTA_EXPR_DATA:
			data = d.Bytes()
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	e := named(name)
	switch of := e.(type) {
	case nil:
		return nil, nil
	case *expr.Ct:
		return of, readCt(of, data)
	}
	if err := expr.Unmarshal(byte(nftables.TableFamilyINet), data, e); err != nil {
		return nil, err
	}
	if i, is := e.(*expr.Immediate); is && i.Register == unix.NFT_REG_VERDICT {
		e = &expr.Verdict{}
		return e, expr.Unmarshal(byte(nftables.TableFamilyINet), data, e)
	}
	return e, nil
}

// named returns an empty expression of a kind that rules of ours have.
func named(name string) expr.Any {
	switch name {
	case "bitwise":
		return &expr.Bitwise{}
	case "cmp":
		return &expr.Cmp{}
	case "counter":
		return &expr.Counter{}
	case "ct":
		return &expr.Ct{}
	case "immediate":
		return &expr.Immediate{}
	case "lookup":
		return &expr.Lookup{}
	case "masq":
		return &expr.Masq{}
	case "meta":
		return &expr.Meta{}
	case "payload":
		return &expr.Payload{}
	}
	return nil
}

func readCt(e *expr.Ct, data []byte) error {
	d, err := attributes(data)
	if err != nil {
		return err
	}
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_CT_KEY:
			e.Key = expr.CtKey(d.Uint32())
		case unix.NFTA_CT_DREG:
			e.Register = d.Uint32()
		case unix.NFTA_CT_SREG:
			e.Register, e.SourceRegister = d.Uint32(), true
		case unix.NFTA_CT_DIRECTION:
			e.Direction = uint32(d.Uint8())
		}
	}
	return d.Err()
}
