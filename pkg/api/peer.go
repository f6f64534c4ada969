package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/kernel/localsock"
)

type peerKey struct{}

// withPeer keeps the process at the other end of a connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	if c, is := conn.(*counted); is {
		conn = c.Conn
	}
	c, is := conn.(*net.UnixConn)
	if !is {
		return ctx
	}
	peer, err := localsock.Of(c)
	if err != nil { // it may read, and change nothing
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peer)
}

// mayNotChange returns why the sender of a request may change nothing; "" if it may. Those who may are root, the user that
// the daemon runs as, and the members of AdminGroup at the time when they connected.
func mayNotChange(r *http.Request) string {
	peer, known := r.Context().Value(peerKey{}).(localsock.Peer)
	if !known {
		return "the kernel does not say who is asking, so that nothing can be changed: run it as root"
	}
	if peer.UID == 0 || int(peer.UID) == os.Geteuid() {
		return ""
	}
	if gid, exists := groupID(AdminGroup); exists && peer.In(gid) {
		return ""
	}
	name := nameOf(peer.UID)
	return fmt.Sprintf("%s may read and change nothing: run it as root, or as a member of the group %s (usermod -aG %s %s, then log in again)", name, AdminGroup, AdminGroup, name)
}

// refusal returns why the sender of a request does not have a role; "" if it has.
func (s *server) refusal(wanted role, r *http.Request) string {
	if s.remote == nil {
		if wanted == change {
			return mayNotChange(r)
		}
		return ""
	}
	name := certified(r.TLS)
	if name == "" {
		return "this connection has no certificate with a name"
	}
	if err := s.remote.Accepts(r.TLS); err != nil {
		return "this connection is not accepted any more: connect again: " + err.Error()
	}
	if wanted == change && !slices.Contains(s.remote.Admins(), name) {
		return fmt.Sprintf("%s may read and change nothing: add it to admins in the section api of the cluster file", name)
	}
	return ""
}

// certified returns the name in the certificate of a client; "" if it has none.
func certified(c *tls.ConnectionState) string {
	if c == nil || len(c.VerifiedChains) == 0 {
		return ""
	}
	return c.VerifiedChains[0][0].Subject.CommonName
}

// author returns the name of the user who sent a request. Behind sudo, which only root can claim, that is the user who
// called it.
func author(r *http.Request) string {
	if name := certified(r.TLS); name != "" {
		return name + " (certificate, from " + r.RemoteAddr + ")"
	}
	peer, known := r.Context().Value(peerKey{}).(localsock.Peer)
	if !known {
		return "unknown"
	}
	name, caller := nameOf(peer.UID), r.URL.Query().Get("sudo")
	if peer.UID == 0 && caller != "" && caller != name {
		if _, err := user.Lookup(caller); err == nil {
			return fmt.Sprintf("%s (sudo by %s)", name, caller)
		}
	}
	return name
}

func nameOf(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}
