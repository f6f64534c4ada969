package ipvs

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Info is the kernel's information about its IPVS.
type Info struct {
	Version       string // "1.2.1"
	ConnTableSize int    // buckets of the connection hash table
}

// Probe reports whether the kernel has IPVS and the caller may use it: ErrNoIPVS, kernel.ErrNotPermitted, or nil. It
// executes nothing; the kernel loads the module, if it can, when it is asked for the family.
func Probe(ctx context.Context) (Info, error) {
	c, err := dial()
	if err != nil {
		return Info{}, fmt.Errorf("ipvs: probe: %w", err)
	}
	defer c.close()
	family, err := lookup(ctx, c)
	if err != nil {
		return Info{}, fmt.Errorf("ipvs: probe: %w", err)
	}
	var info Info
	err = c.ask(ctx, request{family: family, command: cmdGetInfo}, func(body []byte) error {
		attr, err := parseAttributes(body)
		v := attr.u32(infoVersion)
		info = Info{
			Version:       fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff),
			ConnTableSize: int(attr.u32(infoTableSize)),
		}
		return err
	})
	if err == unix.EPERM {
		err = errNotPermitted
	}
	if err != nil {
		return Info{}, fmt.Errorf("ipvs: probe: %w", err)
	}
	return info, nil
}

// lookup asks the generic netlink controller for the number of the IPVS family. Each load of the module gets a new one.
func lookup(ctx context.Context, c *conn) (uint16, error) {
	var number uint16
	err := c.ask(ctx, request{
		family:  nl.GENL_ID_CTRL,
		command: nl.GENL_CTRL_CMD_GETFAMILY,
		body:    []nl.NetlinkRequestData{nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(familyName))},
	}, func(body []byte) error {
		attr, err := parseAttributes(body)
		number = attr.u16(nl.GENL_CTRL_ATTR_FAMILY_ID)
		return err
	})
	switch {
	case err == unix.ENOENT:
		return 0, ErrNoIPVS
	case err != nil:
		return 0, fmt.Errorf("look for IPVS: %w", err)
	case number == 0:
		return 0, fmt.Errorf("look for IPVS: %w: no family number", errMalformed)
	}
	return number, nil
}
