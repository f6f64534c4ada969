package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// pair is a connection with both of its ends in this process.
type pair struct{ client, server net.Conn }

// connect opens a connection from an address of its own, so that all have the same order wherever they are listed.
func connect(t *testing.T, l net.Listener, from, to string) pair {
	t.Helper()
	client, err := (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return pair{client, server}
}

// texts are the connections in a stable order.
func texts(all []Connection) string {
	var lines []string
	for _, c := range all {
		lines = append(lines, fmt.Sprintf("%s<-%s", c.Local, c.Remote))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// TestConnections: the connections of one address are listed, whatever family the socket has, and no others; and exactly these are ended.
func TestConnections(t *testing.T) {
	h := netnstest.New(t)
	var lacking error
	h.IP(t, "addr add 10.77.0.100/32 dev lo")
	h.IP(t, "addr add 10.77.0.11/32 dev lo")
	h.IP(t, "addr add 2001:db8::100/128 dev lo nodad")
	h.Do(t, func() error {
		both, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "[::]:3306")
		if err != nil {
			return err
		}
		defer both.Close()
		only4, err := net.Listen("tcp4", "10.77.0.100:3307")
		if err != nil {
			return err
		}
		defer only4.Close()
		wanted := []pair{connect(t, both, "10.77.0.11:1001", "10.77.0.100:3306"), connect(t, both, "10.77.0.11:1002", "10.77.0.100:3306")}
		other := connect(t, both, "10.77.0.100:1003", "10.77.0.11:3306") // the address is that of the client
		port := connect(t, only4, "10.77.0.11:1004", "10.77.0.100:3307")
		six := connect(t, both, "[2001:db8::100]:1005", "[2001:db8::100]:3306")
		for _, tt := range []struct{ local, want string }{
			{"10.77.0.100:3306", "10.77.0.100:3306<-10.77.0.11:1001 10.77.0.100:3306<-10.77.0.11:1002"},
			{"10.77.0.100:3307", "10.77.0.100:3307<-10.77.0.11:1004"},
			{"10.77.0.100:0", "10.77.0.100:1003<-10.77.0.11:3306 10.77.0.100:3306<-10.77.0.11:1001 10.77.0.100:3306<-10.77.0.11:1002 10.77.0.100:3307<-10.77.0.11:1004"},
			{"10.77.0.100:3308", ""},
			{"[2001:db8::100]:3306", "[2001:db8::100]:3306<-[2001:db8::100]:1005"},
			{"0.0.0.0:3306", "10.77.0.100:3306<-10.77.0.11:1001 10.77.0.100:3306<-10.77.0.11:1002 10.77.0.11:3306<-10.77.0.100:1003 [2001:db8::100]:3306<-[2001:db8::100]:1005"},
		} {
			all, err := Connections(netip.MustParseAddrPort(tt.local))
			if got := texts(all); err != nil || got != tt.want {
				t.Errorf("%s: %v, %v; want %s", tt.local, got, err, tt.want)
			}
		}
		err = ended(t, wanted, []pair{other, port, six})
		if errors.Is(err, ErrNoDestroy) {
			lacking, err = err, nil
		}
		return err
	})
	if lacking != nil { // a test can only be skipped by its own goroutine
		netnstest.OnStockKernel(t, "SOCK_DESTROY")
		require.Skip(t, require.SockDestroy, "%v", lacking)
	}
}

// ended ends the first two connections, one of which has ended before, and looks at all.
func ended(t *testing.T, wanted, others []pair) error {
	all, err := Connections(netip.MustParseAddrPort("10.77.0.100:3306"))
	if err != nil {
		return err
	}
	six, err := Connections(netip.MustParseAddrPort("[2001:db8::100]:3306"))
	if err != nil {
		return err
	}
	n, err := Destroy(append(all, six...))
	if errors.Is(err, ErrNoDestroy) {
		return err
	}
	if err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	for _, p := range append(wanted, others[2]) {
		if _, err := p.server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
			t.Errorf("the server's end of %s: %v", p.server.RemoteAddr(), err)
		}
		if _, err := p.client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client's end of %s: %v", p.client.LocalAddr(), err)
		}
	}
	for _, p := range others[:2] {
		if _, err := p.client.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if n, err := p.server.Read(make([]byte, 1)); n != 1 {
			t.Errorf("another connection: %v", err)
		}
	}
	if n, err := Destroy(append(all, six...)); err != nil || n != 0 {
		t.Errorf("once more: %d, %v", n, err)
	}
	return nil
}
