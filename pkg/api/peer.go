package api

import (
	"context"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

type peerKey struct{}

// withPeer keeps the user at the other end of a connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	if c, is := conn.(*counted); is {
		conn = c.Conn
	}
	c, is := conn.(*net.UnixConn)
	if !is {
		return ctx
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ctx
	}
	var peer *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || failed != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peer.Uid)
}

// author returns the name of the user who sent a request. Behind sudo, which only root can claim, that is the user who
// called it.
func author(ctx context.Context, sudo string) string {
	uid, known := ctx.Value(peerKey{}).(uint32)
	if !known {
		return "unknown"
	}
	name := fmt.Sprintf("uid %d", uid)
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		name = u.Username
	}
	if uid == 0 && sudo != "" && sudo != name {
		if _, err := user.Lookup(sudo); err == nil {
			return fmt.Sprintf("%s (sudo by %s)", name, sudo)
		}
	}
	return name
}
