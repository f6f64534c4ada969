package vrrpsock

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A socket is found only in its network namespace.
func TestDaemons(t *testing.T) {
	a, b := directors(t)
	look := func(h host) (all []string) {
		h.Do(t, func() (err error) { all, err = Daemons(); return err })
		return all
	}
	if all := look(a); len(all) != 0 {
		t.Errorf("without a socket: %q", all)
	}
	openIn(t, a)
	if all := look(a); len(all) == 0 {
		t.Error("with a socket: none")
	}
	if all := look(b); len(all) != 0 {
		t.Errorf("in another network namespace: %q", all)
	}
}

func TestSocketsInProc(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	for _, tt := range []struct {
		raw, raw6 string
		want      bool
	}{
		{head, head, false},
		{head + "    1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 40 2 0 0\n", head, false},
		{head + "  112: 00000000:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 40 2 0 0\n", head, true},
		{head, head + "  112: 00000000000000000000000000000000:0070 00000000000000000000000000000000:0000 07\n", true},
		{"", "", false},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"raw": tt.raw, "raw6": tt.raw6} {
			put(t, filepath.Join(dir, name), text)
		}
		if got, err := anySocket(dir); got != tt.want || err != nil {
			t.Errorf("%q %q: %t, %v", tt.raw, tt.raw6, got, err)
		}
	}
}

func TestKeepalivedInProc(t *testing.T) {
	proc, run := t.TempDir(), t.TempDir()
	process := func(pid, comm, parent, net string) {
		put(t, filepath.Join(proc, pid, "comm"), comm+"\n")
		put(t, filepath.Join(proc, pid, "stat"), pid+" ("+comm+" x) y) S "+parent+" 1 1\n")
		if err := os.MkdirAll(filepath.Join(proc, pid, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(net, filepath.Join(proc, pid, "ns", "net")); net != "" && err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := keepalived(proc, run); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	process("thread-self", "lvs-director", "1", "net:[1]")
	process("7", "sshd", "1", "net:[1]")
	check("none")
	put(t, filepath.Join(run, "keepalived.pid"), "791\n")
	check("only its pid file is visible", "keepalived (pid 791)")
	process("791", "keepalived", "1", "net:[1]")
	process("792", "keepalived", "791", "net:[1]")
	process("900", "keepalived", "1", "net:[2]")
	check("a parent, its child, and one elsewhere", "keepalived (pid 791)")
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The adverts of this host are found, those of others are not.
func TestOutgoing(t *testing.T) {
	a, b := directors(t)
	from, other := openIn(t, a), openIn(t, b)
	begun := make(chan struct{})
	go func() {
		<-begun
		for range 20 {
			_ = from.Send(advert, own, group)
			_ = other.Send([]byte{0x31, 52, 150, 1, 0, 100, 0x12, 0x34, 10, 77, 0, 100}, far, group)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	var found map[Router]bool
	a.Do(t, func() (err error) {
		close(begun)
		found, err = Outgoing(400 * time.Millisecond)
		return err
	})
	if want := map[Router]bool{{Interface: "eth0", VRID: 51}: true}; !maps.Equal(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}

func TestVRIDOfAPacket(t *testing.T) {
	v4 := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0x31, 51)
	options := append([]byte{0x46, 0, 0, 0, 0, 0, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0x31, 52)
	v6 := append(append([]byte{0x60, 0, 0, 0, 0, 0, 112, 255}, make([]byte, 32)...), 0x31, 53)
	tcp := bytes.Clone(v4)
	tcp[9] = 6
	for _, tt := range []struct {
		packet []byte
		vrid   uint8
		ok     bool
	}{{v4, 51, true}, {options, 52, true}, {v6, 53, true}, {tcp, 0, false}, {v4[:21], 0, false}, {v6[:41], 0, false}, {nil, 0, false}} {
		if vrid, ok := vridOf(tt.packet); vrid != tt.vrid || ok != tt.ok {
			t.Errorf("%x: %d, %t", tt.packet, vrid, ok)
		}
	}
}
