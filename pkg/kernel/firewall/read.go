package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Read reads the rules for the packets of a family. Without a tool that shows the rules of this kernel, it returns
// an error with the remedy. ctx carries the deadline.
func Read(ctx context.Context, family kernel.Family) (Rules, error) {
	return read(family, host{
		legacy: func() string { text, _ := os.ReadFile(legacyNames(family)); return string(text) }, // absent: no table
		hasNFT: HasNFTables,
		tables: func() (bool, error) { return otherTables(ctx, family) },
		run: func(argv ...string) ([]byte, error) {
			return run(ctx, argv...)
		},
	})
}

// HasNFTables reports whether the kernel has nf_tables loaded or built in. If not, there is no table of nf_tables.
func HasNFTables() bool {
	_, err := os.Stat("/sys/module/nf_tables")
	return err == nil || builtIn("/lib/modules", "nf_tables")
}

// otherTables reports whether nf_tables has a table for a family that is not that of this daemon.
func otherTables(ctx context.Context, family kernel.Family) (bool, error) {
	nft, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		deadline, _ := ctx.Deadline() // zero: none
		return c.SetDeadline(deadline)
	}))
	if err != nil {
		return false, err
	}
	tables, err := nft.ListTables()
	if err != nil {
		return false, err
	}
	own := map[kernel.Family]nftables.TableFamily{kernel.IPv4: nftables.TableFamilyIPv4, kernel.IPv6: nftables.TableFamilyIPv6}[family]
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool {
		switch t.Family {
		case nftables.TableFamilyINet:
			return !kernel.OwnTable(t.Name)
		case own, nftables.TableFamilyNetdev:
			return true
		}
		return false
	}), nil
}

// host is what Read asks. run returns exec.ErrNotFound if there is no such program.
type host struct {
	legacy func() string // the tables of iptables-legacy
	hasNFT func() bool   // the kernel has nf_tables loaded
	// tables reports whether nf_tables has a table for this family that is not that of this daemon.
	tables func() (bool, error)
	run    func(argv ...string) ([]byte, error)
}

// builtIn reports whether the running kernel contains what is elsewhere a module, which is then not in /sys/module unless it
// has parameters (kernel/params.c). It is false if the kernel was installed without its list.
func builtIn(dir, module string) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	list, err := os.ReadFile(dir + "/" + unix.ByteSliceToString(name.Release[:]) + "/modules.builtin")
	return err == nil && bytes.Contains(list, []byte("/"+module+".ko\n"))
}

func legacyNames(family kernel.Family) string {
	if family == kernel.IPv6 {
		return "/proc/thread-self/net/ip6_tables_names"
	}
	return "/proc/thread-self/net/ip_tables_names"
}

func read(family kernel.Family, h host) (Rules, error) {
	prefix, nftFamily := "iptables", "ip"
	if family == kernel.IPv6 {
		prefix, nftFamily = "ip6tables", "ip6"
	}
	var r Rules
	if strings.TrimSpace(h.legacy()) != "" {
		text, err := h.run(prefix + "-legacy-save")
		if errors.Is(err, exec.ErrNotFound) { // of a time or a distribution with one kind only
			text, err = h.run(prefix + "-save")
		}
		if err != nil {
			return Rules{}, fmt.Errorf("the kernel has tables of %s, which cannot be read: %w", prefix, err)
		}
		bases, _, err := parseSave(prefix+"-legacy", string(text))
		if err != nil {
			return Rules{}, err
		}
		r.Bases = append(r.Bases, bases...)
	}
	if !h.hasNFT() {
		return r, nil
	}
	// What iptables has made is read with iptables, because nft does not show all of its extensions.
	text, err := h.run(prefix + "-nft-save")
	missing := errors.Is(err, exec.ErrNotFound)
	if err != nil && !missing {
		return Rules{}, err
	}
	bases, known, err := parseSave(prefix, string(text))
	if err != nil {
		return Rules{}, err
	}
	r.Bases = append(r.Bases, bases...)
	text, err = h.run("nft", "-j", "list", "ruleset")
	switch {
	case errors.Is(err, exec.ErrNotFound) && !missing: // its package comes with iptables-nft, which needs it
		return r, nil
	case errors.Is(err, exec.ErrNotFound):
		if some, err := h.tables(); err == nil && !some {
			return r, nil
		}
		return Rules{}, errors.New("the kernel has nf_tables, and neither nft nor iptables-nft-save is installed to read its rules: install the package nftables")
	case err != nil:
		return Rules{}, err
	}
	more, err := parseNFT(text, nftFamily, func(family, table string) bool {
		return family == nftFamily && slices.Contains(known, table) || family == "inet" && kernel.OwnTable(table)
	})
	r.Bases = append(r.Bases, more...)
	return r, err
}

// waitDelay limits the wait for the output of a program that was killed at the deadline.
const waitDelay = time.Second

// path is where the tools are, also for a daemon without a PATH.
const path = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin"

func run(ctx context.Context, argv ...string) ([]byte, error) {
	program := ""
	for _, dir := range strings.Split(path, ":") {
		if info, err := os.Stat(dir + "/" + argv[0]); err == nil && !info.IsDir() {
			program = dir + "/" + argv[0]
			break
		}
	}
	if program == "" {
		return nil, fmt.Errorf("%s: %w", argv[0], exec.ErrNotFound)
	}
	var out, failure bytes.Buffer
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + path}
	cmd.Stdout, cmd.Stderr = &out, &failure
	cmd.WaitDelay = waitDelay
	if err := cmd.Run(); err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(failure.String()), "\n")
		return nil, fmt.Errorf("%s: %w %s", strings.Join(argv, " "), err, text)
	}
	return out.Bytes(), nil
}
