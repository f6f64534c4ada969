package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// A mistake is one change that makes a valid cluster file unusable.
type mistake struct {
	name string
	// The first occurrence of old in the file of TestBrokenReloads is replaced by new.
	old, new string
	// text, if set, makes another change of the content; replace, if set, makes something else than a regular file with
	// that content.
	text    func(good string) string
	replace func(t *testing.T, path string)
	// wantError is a regular expression that the refusal must match; "" stands for a position in the changed line.
	wantError string
}

// Values of wantError for a change that the parser notices only in a later line, or that concerns the whole file.
const (
	anyPosition   = `cluster\.yaml:\d+:\d+: .`
	firstPosition = `cluster\.yaml:1:1: .`
)

func mistakes() []mistake {
	return append(textMistakes(), fileMistakes()...)
}

func textMistakes() []mistake {
	return []mistake{
		// Typing errors.
		{name: "key misspelt", old: "scheduler: rr", new: "schedular: rr"},
		{name: "key misspelt at the top", old: "virtual_servers:", new: "virtualservers:"},
		{name: "value misspelt", old: "scheduler: rr", new: "scheduler: rrr"},
		{name: "method misspelt", old: "forward: dr", new: "forward: drr"},
		{name: "check misspelt", old: "type: tcp", new: "type: tpc"},
		{name: "value missing", old: "interface: eth0", new: "interface:"},
		{name: "number missing", old: "virtual_router_id: 51", new: "virtual_router_id:"},
		{name: "key without a value in a flow mapping", old: "{name: mysql1, address: 10.77.0.11, ", new: "{name: mysql1, address, "},
		{name: "key missing", old: "    scheduler: rr\n", new: "", wantError: `cluster\.yaml:17:5: virtual_servers\[0\]\.scheduler: is required`},
		{name: "section missing", old: "directors:\n  - {name: lvs-master, address: 10.77.0.2}\n  - {name: lvs-backup, address: 10.77.0.3}\n", new: "", wantError: anyPosition},
		{name: "colon missing", old: "port: 3306", new: "port 3306", wantError: anyPosition},
		{name: "space after the colon missing", old: "port: 3306", new: "port:3306", wantError: anyPosition},
		{name: "brace missing", old: "weight: 1}", new: "weight: 1", wantError: anyPosition},
		{name: "bracket missing", old: "/32]", new: "/32", wantError: anyPosition},
		{name: "quote missing", old: "name: mysql", new: `name: "mysql`, wantError: anyPosition},
		{name: "comma missing", old: "mysql1, address", new: "mysql1 address", wantError: anyPosition},
		{name: "indented too far", old: "    scheduler: rr", new: "      scheduler: rr", wantError: anyPosition},
		{name: "indented too little", old: "    scheduler: rr", new: "   scheduler: rr", wantError: anyPosition},
		{name: "indented by a tab", old: "    scheduler: rr", new: "\tscheduler: rr"},
		{name: "no-break space", old: "    scheduler: rr", new: "  \u00a0 scheduler: rr"},
		{name: "full-width colon", old: "port: 3306", new: "port：3306"},
		{name: "merge conflict marker", old: "    port: 3306\n", new: "<<<<<<< HEAD\n    port: 3306\n", wantError: anyPosition},
		// Invalid values.
		{name: "VRID 0", old: "virtual_router_id: 51", new: "virtual_router_id: 0"},
		{name: "VRID 256", old: "virtual_router_id: 51", new: "virtual_router_id: 256"},
		{name: "priority 300", old: "priority: 100", new: "priority: 300"},
		{name: "port 70000", old: "port: 3306", new: "port: 70000"},
		{name: "weight below 0", old: "weight: 1", new: "weight: -1"},
		{name: "weight in words", old: "weight: 1", new: "weight: one"},
		{name: "address of three numbers", old: "10.77.0.11", new: "10.77.11"},
		{name: "address out of range", old: "10.77.0.11", new: "10.77.0.311"},
		{name: "prefix without its slash", old: "10.77.0.100/32", new: "10.77.0.100-32"},
		{name: "duration without a unit", old: "advert_interval: 100ms", new: "advert_interval: 100"},
		{name: "advert interval that is not a multiple of 10 ms", old: "advert_interval: 100ms", new: "advert_interval: 105ms"},
		{name: "advert interval for another version", old: "protocol_version: 3", new: "protocol_version: 2", wantError: `cluster\.yaml:10:\d+: vrrp_instances\[0\]\.advert_interval`},
		{name: "lease too short", old: "    preempt: true\n", new: "    preempt: true\n    lease: 1s\n"},
		{name: "lease not longer than the master-down interval", old: "    advert_interval: 100ms\n", new: "    advert_interval: 1s\n    lease: 3s\n", wantError: `cluster\.yaml:11:\d+: vrrp_instances\[0\]\.lease`},
		{name: "timeout longer than the interval", old: "timeout: 350ms", new: "timeout: 450ms"},
		{name: "number instead of a boolean", old: "preempt: true", new: "preempt: 7"},
		{name: "list instead of a string", old: "scheduler: rr", new: "scheduler: [rr]"},
		{name: "string instead of a list", old: "virtual_addresses: [10.77.0.100/32]", new: "virtual_addresses: 10.77.0.100/32"},
		{name: "another version of the file", old: "version: 1", new: "version: 2"},
		// Values that contradict each other.
		{name: "key twice", old: "    port: 3306\n", new: "    port: 3306\n    port: 3307\n"},
		{name: "name twice", old: "{name: mysql2,", new: "{name: mysql1,"},
		{name: "address twice", old: "10.77.0.12, weight", new: "10.77.0.11, weight"},
		{name: "port that DR cannot change", old: "address: 10.77.0.11, weight", new: "address: 10.77.0.11, port: 3307, weight"},
		{name: "the VIP is a director's own address", old: "[10.77.0.100/32]", new: "[10.77.0.3/32]", wantError: anyPosition},
		{name: "an override for an unknown node", old: "lvs-master: {priority", new: "lvs-mater: {priority"},
		{name: "password in the file", old: "type: tcp, interval", new: "type: mysql, user: check, password: secret, interval"},
		{name: "keepalived's keyword", old: "scheduler: rr", new: "lb_algo: rr"},
		{name: "unknown interface", old: "interface: eth0", new: "interface: ethO"},
		{name: "unknown interface of this director", old: "{priority: 150}", new: "{priority: 150, interface: eth7}"},
	}
}

// fileMistakes are faults of an editor, a disk, or a script that distributes the file.
func fileMistakes() []mistake {
	text := func(name, wantError string, change func(good string) string) mistake {
		return mistake{name: name, wantError: wantError, text: change}
	}
	replacedBy := func(name, wantError string, create func(path string) error) mistake {
		return mistake{name: name, wantError: wantError, replace: func(t *testing.T, path string) {
			t.Helper()
			if err := create(path); err != nil {
				t.Fatal(err)
			}
		}}
	}
	return []mistake{
		text("truncated in the middle", anyPosition, func(good string) string { return good[:len(good)/2] }),
		text("truncated in the last line", anyPosition, func(good string) string { return good[:len(good)-10] }),
		text("empty", firstPosition, func(string) string { return "" }),
		text("white space only", anyPosition, func(string) string { return "\n  \n" }),
		text("comments only", anyPosition, func(string) string { return "# nothing\n" }),
		text("zeros after a power loss", anyPosition, func(good string) string { return strings.Repeat("\x00", len(good)) }),
		text("a zero in the middle", anyPosition, func(good string) string { return good[:200] + "\x00" + good[200:] }),
		text("Latin-1", anyPosition, func(good string) string { return "# M\xfcnchen\n" + good }),
		text("UTF-16", anyPosition, func(good string) string {
			return "\xff\xfe" + strings.Join(append(strings.Split(good, ""), ""), "\x00")
		}),
		text("an error page", anyPosition, func(string) string { return "<html><body>404 Not Found</body></html>\n" }),
		text("a keepalived.conf", anyPosition, func(string) string { return "vrrp_instance VI_1 {\n    state MASTER\n}\n" }),
		text("two files in one", anyPosition, func(good string) string { return good + "---\n" + good }),
		text("an ELF header before the text", anyPosition, func(good string) string { return "\x7fELF\x02\x01\x01" + good }),
		text("3 MB", `larger than 2 MiB`, func(good string) string { return good + strings.Repeat("# padding\n", 300_000) }),
		replacedBy("missing", "no such file", func(string) error { return nil }),
		replacedBy("a directory", "not a regular file", func(path string) error { return os.Mkdir(path, 0o700) }),
		replacedBy("a dangling link", "no such file", func(path string) error { return os.Symlink(path+".absent", path) }),
		replacedBy("a link to itself", "too many levels of symbolic links", func(path string) error { return os.Symlink(filepath.Base(path), path) }),
		replacedBy("a named pipe", "not a regular file", func(path string) error { return syscall.Mkfifo(path, 0o600) }),
		replacedBy("a device without end", "not a regular file", func(path string) error { return os.Symlink("/dev/zero", path) }),
		replacedBy("100 MB", "larger than 2 MiB", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 100<<20))
		}),
	}
}

// randomMistake overwrites, deletes or duplicates random bytes of the file, or truncates it, until it does not
// validate.
func randomMistake(random *rand.Rand, good string) mistake {
	text := []byte(good)
	for {
		at := random.IntN(len(text))
		to := min(at+1+random.IntN(40), len(text))
		switch random.IntN(4) {
		case 0:
			text[at] = byte(random.IntN(256))
		case 1:
			text = slices.Delete(text, at, to)
		case 2:
			text = slices.Insert(text, to, text[at:to]...)
		case 3:
			text = text[:at+1]
		}
		if cfg, _ := config.Parse("cluster.yaml", text); cfg == nil {
			return mistake{name: fmt.Sprintf("%q", text), wantError: anyPosition, text: func(string) string { return string(text) }}
		}
	}
}

// apply makes the mistake in the file at path, whose valid content is good, and returns the regular expression that a
// refusal must match.
func (m mistake) apply(t *testing.T, path, good string) (wantError string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	text, wantError := "", m.wantError
	switch {
	case m.replace != nil:
		m.replace(t, path)
		return wantError
	case m.text != nil:
		text = m.text(good)
	default:
		before, after, found := strings.Cut(good, m.old)
		if !found {
			t.Fatalf("%s: the cluster file has no %q:\n%s", m.name, m.old, good)
		}
		text = before + m.new + after
	}
	if wantError == "" {
		wantError = `cluster\.yaml:` + changedLine(good, text) + `:\d+: .`
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return wantError
}

// changedLine returns the number of the first line that differs, counted from 1.
func changedLine(before, after string) string {
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strconv.Itoa(n + 1)
}
