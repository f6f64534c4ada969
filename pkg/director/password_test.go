package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// guarded returns a cluster file with a password file, which it writes if text is not "".
func (m *machine) guarded(text string) (file, cluster string) {
	m.t.Helper()
	file = filepath.Join(m.dir, "vrrp.password")
	if text != "" {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	return file, electing + "  - {name: a, interface: eth0, virtual_router_id: 51, protocol_version: 2, auth_type: pass, auth_password_file: " + file +
		", virtual_addresses: [" + vip + "]}\n"
}

// secretAdvert injects an advert of a director with a password.
func (m *machine) secretAdvert(password string, priority uint8) {
	m.t.Helper()
	secret, err := vrrp.ParsePassword(password)
	if err != nil {
		m.t.Fatal(err)
	}
	source, group := netip.MustParseAddr("10.77.0.3"), vrrp.Group(kernel.IPv4)
	p := vrrp.Packet{Version: 2, VRID: 51, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr(vip)}, AuthType: 1, Password: secret}
	payload, err := p.Append(nil, source, group, vrrp.PlainChecksum)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sockets["eth0"].in <- vrrp.Datagram{Payload: payload, Source: source, Destination: group, TTL: 255}
}

// TestPasswordChanges: a reload reads the file again, without an election.
func TestPasswordChanges(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		_, cluster := m.guarded("first-pw\r\n")
		m.start(cluster)
		m.secretAdvert("first-pw", 50)
		m.pass(time.Second)
		if i := m.Status().Instances[0]; i.AdvertsReceived != 1 || i.Dropped["auth"] != 0 {
			t.Errorf("the same password: %+v", i)
		}
		since := m.Status().Instances[0].Since
		m.guarded("second-p")
		m.reload(cluster)
		m.secretAdvert("second-p", 50)
		m.secretAdvert("first-pw", 50)
		m.pass(time.Second)
		i := m.Status().Instances[0]
		if i.AdvertsReceived != 2 || i.Dropped["auth"] != 1 || i.State != "MASTER" || i.Since != since {
			t.Errorf("after the reload: %+v", i)
		}
		m.expect("no VIP was touched")
		if record, err := m.Record("a"); err != nil || !strings.Contains(record, "auth=1") {
			t.Errorf("%v, %s", err, record)
		} else if text := record + m.log.String(); strings.Contains(text, "first-pw") || strings.Contains(text, "second-p") {
			t.Errorf("a password is printed:\n%s", text)
		}
	})
}

// TestUnusablePassword: a start is in FAULT and sends nothing; a reload is refused.
func TestUnusablePassword(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		spoil func(file string) error
		want  string
	}{
		"missing":     {"", nil, "no such file or directory (create the file with mode 0600, or correct its name); then run lvsctl reload"},
		"for all":     {"geheim", func(file string) error { return os.Chmod(file, 0o644) }, "has mode 0644, so others can read or change it (chmod 0640 or 0600); then run lvsctl reload"},
		"too long":    {"verysecret", nil, "is longer than 8 characters, of which keepalived uses only the first 8: write those (correct the file, then run lvsctl reload)"},
		"empty":       {"\n", nil, "is empty (correct the file, then run lvsctl reload)"},
		"two lines":   {"geheim\n\n", nil, "contains a character that is not printable ASCII"},
		"a directory": {"", func(file string) error { return os.Mkdir(file, 0o700) }, "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			spoil := func(m *machine) string {
				file, cluster := m.guarded(c.text)
				if c.spoil != nil {
					if err := c.spoil(file); err != nil {
						t.Fatal(err)
					}
				}
				return cluster
			}
			world(t, func(t *testing.T, m *machine) {
				cluster := spoil(m)
				m.begin(cluster)
				m.pass(10 * time.Second)
				i := m.Status().Instances[0]
				if i.State != "FAULT" || !strings.Contains(i.Reason, c.want) || i.AdvertsSent != 0 {
					t.Errorf("%s, %s, %d adverts, want FAULT with %q", i.State, i.Reason, i.AdvertsSent, c.want)
				}
				_ = os.RemoveAll(filepath.Join(m.dir, "vrrp.password"))
				m.guarded("good")
				m.reload(cluster)
				m.pass(5 * time.Second)
				if m.state("a") != "MASTER" {
					t.Errorf("%s after the reload", m.state("a"))
				}
				_ = os.Remove(filepath.Join(m.dir, "vrrp.password"))
				spoil(m)
				if err := m.Reload(t.Context(), true); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "vrrp_instances[0].auth_password_file: ") {
					t.Errorf("the reload: %v", err)
				}
				m.pass(5 * time.Second)
				if m.state("a") != "MASTER" {
					t.Errorf("%s after a reload that was refused", m.state("a"))
				}
				if text := m.log.String(); c.text != "" && c.text != "\n" && strings.Contains(text, strings.TrimSpace(c.text)) {
					t.Errorf("the password is printed:\n%s", text)
				}
			})
		})
	}
}

// TestPasswordsOnAHangingDisk: files that cannot be read within 5 s cost 5 s in all, and the others are read.
func TestPasswordsOnAHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{})
		defer close(disk)
		begun := time.Now()
		all := readPasswords([]string{"/nfs/a", "/nfs/b", "/etc/c", "/nfs/d"}, func(file string) (vrrp.Password, error) {
			if strings.HasPrefix(file, "/nfs") {
				<-disk
			}
			return vrrp.ParsePassword("geheim")
		})
		if took := time.Since(begun); took != passwordWithin {
			t.Errorf("it took %s", took)
		}
		for file, p := range all {
			if hangs := strings.HasPrefix(file, "/nfs"); hangs != strings.Contains(p.Problem, file+" takes longer than 5s") {
				t.Errorf("%s: %q", file, p.Problem)
			}
		}
		if len(all) != 4 {
			t.Errorf("%d results", len(all))
		}
	})
}
