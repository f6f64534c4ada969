package localsock

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Tags of the entries of an access control list (linux/posix_acl.h).
const (
	tagOwner   = 0x01
	tagGroup   = 0x04
	tagOther   = 0x20
	tagMask    = 0x10
	tagOfGroup = 0x08
)

// Admit lets the owner, the group of the file and one more group open the socket at path, and nobody else: mode 0660 with an
// access control list. The error is in the chain unix.EOPNOTSUPP if the file system has no such lists.
func Admit(path string, gid uint32) error {
	if err := unix.Setxattr(path, "system.posix_acl_access", accessList(gid), 0); err != nil {
		return fmt.Errorf("setfacl -m g:%d:rw %s: %w", gid, path, err)
	}
	return nil
}

// accessList is the value of the extended attribute: version 2, then tag, permissions and id of each entry.
func accessList(gid uint32) []byte {
	const readWrite, nobody = 6, 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, permissions uint16
		id               uint32
	}{{tagOwner, readWrite, nobody}, {tagGroup, readWrite, nobody}, {tagOfGroup, readWrite, gid}, {tagMask, readWrite, nobody}, {tagOther, 0, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.permissions)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return list
}
