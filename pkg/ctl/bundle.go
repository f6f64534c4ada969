package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/bundle"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/version"
)

// bundleWithin is how long a bundle may take.
const bundleWithin = 90 * time.Second

// mostExplained is how many real servers are explained.
const mostExplained = 50

// bundledEvents is how old events in a bundle are at most.
const bundledEvents = 7 * 24 * time.Hour

func makeBundle(f *flags) *cobra.Command {
	path, recorded := "", captureFor
	cmd := &cobra.Command{
		Use: "bundle", Short: "collect the status, events, tables, logs and packets of this machine in one archive, without secrets, for those who help",
		Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkCapture(recorded); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), bundleWithin)
			defer cancel()
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("bundle: %w", err)
			}
			head := bundle.Index{Node: host, Version: version.String(), Time: time.Now()}
			if path == stdin {
				_, err = bundle.Write(ctx, cmd.OutOrStdout(), head, f.parts(ctx, recorded))
				return err
			}
			if path == "" {
				path = fmt.Sprintf("lvs-bundle-%s-%s.tar.gz", host, head.Time.Format("20060102-150405"))
			}
			if head, err = f.writeBundle(ctx, path, recorded, head); err != nil {
				return fmt.Errorf("bundle %s: %w", path, err)
			}
			if f.output != "table" {
				return writeValue(cmd.OutOrStdout(), f.output, struct {
					File string `json:"file"`
					bundle.Index
				}{path, head})
			}
			printBundle(cmd.OutOrStdout(), path, head)
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "file", "", "the archive, which must not exist; - is standard output (default: lvs-bundle-HOST-TIME.tar.gz)")
	cmd.Flags().DurationVar(&recorded, "capture", recorded, "how long the headers of packets are recorded that show how the cluster works; 0s: not at all")
	_ = cmd.RegisterFlagCompletionFunc("capture", cobra.NoFileCompletions)
	return cmd
}

// writeBundle writes a new file, which only its owner can read.
func (f *flags) writeBundle(ctx context.Context, path string, recorded time.Duration, head bundle.Index) (bundle.Index, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return head, err
	}
	head, err = bundle.Write(ctx, file, head, f.parts(ctx, recorded))
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path)
	}
	return head, err
}

func printBundle(w io.Writer, path string, head bundle.Index) {
	missing := 0
	for _, p := range head.Parts {
		if p.Error != "" {
			missing++
			fmt.Fprintf(w, "%s: %s\n", p.Name, p.Error)
		}
	}
	fmt.Fprintf(w, "%s: %d parts, %d of them missing or not whole\n", path, len(head.Parts), missing)
}

// parts lists what a bundle has. The cluster file is not among them: addresses of webhooks may contain secrets.
// Packets are recorded from now on.
func (f *flags) parts(ctx context.Context, recorded time.Duration) []bundle.Part {
	var all, packets []bundle.Part
	if recorded > 0 {
		packets = append(packets, capturePart(ctx, recorded))
	}
	for _, l := range f.daemons() {
		all = append(all, daemonParts(ctx, f.clientOf(l), strings.TrimPrefix(l.unit, "lvs-"))...)
		all = append(all, commandPart("log-"+l.unit, "journalctl", "--no-pager", "-o", "short-iso-precise", "-n", "2000", "-u", l.unit))
	}
	for _, argv := range bundledCommands {
		if _, err := os.Stat("/proc/net/ip_vs"); argv[0] == "ipvsadm" && err != nil {
			continue // it would load the module
		}
		all = append(all, commandPart(strings.ReplaceAll(strings.Join(argv, "_"), "/", "_"), argv...))
	}
	for _, path := range []string{"/proc/version", "/etc/os-release", "/proc/net/ip_vs", "/proc/net/ip_vs_stats", "/proc/net/dev", "/proc/loadavg", "/proc/meminfo"} {
		all = append(all, filePart(path))
	}
	all = append(all, bundle.Part{Name: "sysctls", Read: bundledSysctls}, bundle.Part{Name: "files/proc/modules", Read: bundledModules})
	return append(all, packets...)
}

// bundledCommands change nothing, and show no secrets.
var bundledCommands = [][]string{
	{"ip", "-d", "-s", "link"},
	{"ip", "-d", "address"},
	{"ip", "-4", "route", "show", "table", "all"},
	{"ip", "-6", "route", "show", "table", "all"},
	{"ip", "-4", "rule"},
	{"ip", "-6", "rule"},
	{"ip", "neighbour"},
	{"ip", "maddress"},
	{"ipvsadm", "-Ln"},
	{"ipvsadm", "-Ln", "--stats"},
	{"ipvsadm", "-L", "--timeout"},
	{"ipvsadm", "-L", "--daemon"},
	{"nft", "list", "ruleset"},
	{"iptables-save", "-c"},
	{"ip6tables-save", "-c"},
	{"ss", "-lntu"},
	{"ss", "-s"},
	// Not status, which prints the command lines of checks and hooks.
	{"systemctl", "show", "--no-pager", "-p", "Id,LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,NRestarts,ActiveEnterTimestamp,MemoryCurrent", "lvs-director", "lvs-realserver"},
}

// daemonParts are the answers of a daemon.
func daemonParts(ctx context.Context, c *api.Client, name string) []bundle.Part {
	all := []bundle.Part{
		{Name: name + "/status.json", Read: c.Status},
		{Name: name + "/events.jsonl", Read: func(ctx context.Context) ([]byte, error) {
			var lines newestLines
			err := c.Events(ctx, time.Now().Add(-bundledEvents), false, func(e event.Event) error {
				line, err := e.Line()
				lines.add(line)
				return err
			})
			return lines.text, errors.Join(err, ctx.Err(), lines.err()) // Events ends without an error with ctx
		}},
	}
	document, err := c.Status(ctx)
	var s status.Director
	if err != nil || json.Unmarshal(document, &s) != nil || s.Role == "realserver" {
		return all
	}
	all = append(all, bundle.Part{Name: name + "/table.json", Read: func(ctx context.Context) ([]byte, error) { return asJSON(c.Table(ctx, false)) }},
		bundle.Part{Name: name + "/foreign.json", Read: func(ctx context.Context) ([]byte, error) { return asJSON(c.Table(ctx, true)) }},
		bundle.Part{Name: name + "/vrrp-record", Read: func(ctx context.Context) ([]byte, error) { return c.Record(ctx, "") }})
	explained := 0
	for _, v := range s.VirtualServers {
		for _, r := range v.RealServers {
			if explained++; explained > mostExplained {
				return all
			}
			all = append(all, bundle.Part{
				Name: fmt.Sprintf("%s/explain/%s/%s.json", name, v.Name, r.Name),
				Read: func(ctx context.Context) ([]byte, error) { return asJSON(c.Explain(ctx, v.Name+"/"+r.Name)) },
			})
		}
	}
	return all
}

// newestLines keeps the last lines that fit into a part.
type newestLines struct {
	text []byte
	lost int // lines
}

func (l *newestLines) add(line []byte) {
	l.text = append(append(l.text, line...), '\n')
	for len(l.text) > bundle.MaxPart {
		end := bytes.IndexByte(l.text, '\n') + 1
		l.text, l.lost = l.text[end:], l.lost+1
	}
}

func (l *newestLines) err() error {
	if l.lost == 0 {
		return nil
	}
	return fmt.Errorf("the oldest %d lines are left out: a part has at most %d bytes", l.lost, bundle.MaxPart)
}

func asJSON[T any](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(v, "", "  ")
}

// commandPart is the output of a program.
func commandPart(name string, argv ...string) bundle.Part {
	return bundle.Part{Name: "commands/" + strings.ReplaceAll(name, " ", "_"), Read: func(ctx context.Context) ([]byte, error) {
		program, err := toolPath(argv[0])
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, program, argv[1:]...)
		cmd.Env = []string{"LC_ALL=C", "PATH=" + toolDirs}
		cmd.WaitDelay = time.Second
		out := &limitedBuffer{}
		cmd.Stdout, cmd.Stderr = out, out
		err = cmd.Run()
		return out.kept.Bytes(), err
	}}
}

// toolDirs is where the tools are, also for users without /usr/sbin in their PATH.
const toolDirs = "/usr/sbin:/usr/bin:/sbin:/bin"

func toolPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(toolDirs) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// limitedBuffer keeps the beginning of what is written, one byte more than a part may have, so that it is known to be cut. It does not
// embed the buffer, whose ReadFrom has no limit.
type limitedBuffer struct{ kept bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	_, err := b.kept.Write(p[:min(len(p), bundle.MaxPart+1-b.kept.Len())])
	return len(p), err
}

// filePart is the content of a file.
func filePart(path string) bundle.Part {
	return bundle.Part{Name: "files" + path, Read: func(context.Context) ([]byte, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return io.ReadAll(io.LimitReader(file, bundle.MaxPart+1))
	}}
}

// bundledModules returns /proc/modules without the addresses, which root sees and attackers want.
func bundledModules(context.Context) ([]byte, error) {
	text, err := os.ReadFile("/proc/modules")
	return modulesWithoutAddresses(text), err
}

func modulesWithoutAddresses(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		fields := slices.DeleteFunc(strings.Fields(string(line)), func(field string) bool { return strings.HasPrefix(field, "0x") })
		out.WriteString(strings.Join(fields, " ") + "\n")
	}
	return out.Bytes()
}

// bundledSysctls returns the network settings that matter, as sysctl prints them.
func bundledSysctls(context.Context) ([]byte, error) {
	const root = "/proc/sys/"
	var out bytes.Buffer
	var errs []error
	for _, pattern := range []string{
		"net/ipv4/conf/*/arp_*", "net/ipv4/conf/*/*rp_filter", "net/ipv4/conf/*/*redirects", "net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/accept_local",
		"net/ipv4/conf/*/promote_secondaries", "net/ipv4/ip_*", "net/ipv4/vs/*", "net/ipv6/conf/*/forwarding", "net/ipv6/conf/*/*redirects", "net/ipv6/conf/*/disable_ipv6",
		"net/ipv6/conf/*/accept_dad", "net/ipv4/neigh/default/gc_*", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count", "net/core/somaxconn",
	} {
		paths, err := filepath.Glob(root + pattern)
		errs = append(errs, err)
		for _, path := range paths {
			if value, err := os.ReadFile(path); err == nil { // some are for writing only
				key := strings.ReplaceAll(strings.TrimPrefix(path, root), "/", ".")
				fmt.Fprintf(&out, "%s = %s\n", key, strings.Join(strings.Fields(string(value)), " "))
			}
		}
	}
	return out.Bytes(), errors.Join(errs...)
}
