package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stockOptions is bootOptions for the second kernel.
func stockOptions(t *testing.T, command ...string) Options {
	t.Helper()
	c := machineCache(t, "second kernel", "bin/labrun -kernel debian -fetch", func(c Cache) bool {
		home, err := c.stockHome()
		return err == nil && Stock{home}.complete()
	})
	stock, err := c.FillStock(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Stock: stock, Program: program(t), Command: command, Memory: 512, Timeout: hangs}
}

func TestStockPassesStreamsAndCodes(t *testing.T) {
	skipShort(t)
	input := bytes.Repeat([]byte{0, 3, 4, 10, 13, 17, 19, 26, 127, 255}, 10_000)
	o := stockOptions(t, "sh", "-c", "cat; echo err >&2; sleep 1000 & kill -TERM $$")
	o.Stdin = bytes.NewReader(input)
	if diff := cmp.Diff(result{128 + 15, string(input), "err\n"}, boot(t, o)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestStockHasWhatScenariosNeed tests what scenarios need from the second kernel, one line each, mainly what
// user-mode-linux does not have.
func TestStockHasWhatScenariosNeed(t *testing.T) {
	skipShort(t)
	const script = `
fail() { echo "failed: $1" >&2; bad=1; }
try() { "$@" >/tmp/output 2>&1 || { fail "$*"; cat /tmp/output >&2; }; }
test "$(id -u)" = 0 || fail root
test "$(hostname)" = lab || fail hostname
test "$LVS_LAB_INSIDE" = guest || fail LVS_LAB_INSIDE
test -e /proc/net/ip_vs || fail ip_vs
for s in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; do
	try ipvsadm -A -f 1 -s $s
	try ipvsadm -D -f 1
done
try ip netns add a
try ip netns exec a ip link set lo up
try ip netns exec a ipvsadm -A -t 192.0.2.1:3306 -s wlc
try ip netns exec a ipvsadm -a -t 192.0.2.1:3306 -r 192.0.2.2 -g -w 5
for f in inet ip ip6 arp bridge; do try nft add table $f lab; done
try nft add chain inet lab c '{ type filter hook input priority 0; }'
try nft add rule inet lab c tcp dport 9 ct state invalid counter drop
try nft add rule inet lab c meta mark set 7
try ip link add v0 type veth peer name v1 netns a
try ip link add vrf0 type vrf table 10
try ip link add bond0 type bond
try ip link add m0 link v0 type macvlan mode bridge
try ip link add t0 type ipip local 127.0.0.1 remote 127.0.0.2
try ip link add vlan5 link v0 type vlan id 5
try tc qdisc add dev v0 root netem loss 10% delay 10ms
for t in iptables-legacy ip6tables-legacy iptables-nft ip6tables-nft; do
	try $t -t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 7
	try $t -A INPUT -m conntrack --ctstate INVALID -j DROP
done
bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>&1 | grep -q refused || fail "connection refused by a closed port"
try keepalived -v
try /usr/lib/frr/bfdd --version
try tcpdump --version
try mariadbd --no-defaults --version
test -f /usr/share/lvs-lab/mariadb/mysql/global_priv.frm || fail "MariaDB data"
for d in /tmp /run /dev/shm "$TMPDIR" "$HOME" /etc /usr; do try touch $d/.written; done
exit ${bad:-0}`
	got := boot(t, stockOptions(t, "sh", "-c", script))
	if got.Code != 0 || got.Stderr != "" {
		t.Errorf("code %d, stderr:\n%s", got.Code, got.Stderr)
	}
}

// TestStockDestroysSockets: SOCK_DESTROY ends a connection that neither end closes.
func TestStockDestroysSockets(t *testing.T) {
	skipShort(t)
	o := stockOptions(t, "bash", "-c", `
ipvsadm -v >/dev/null
mariadbd --no-defaults --user=root --datadir=/usr/share/lvs-lab/mariadb --socket=/run/m --port=3306 --innodb-buffer-pool-size=16M --innodb-use-native-aio=0 >/run/log 2>&1 &
until mariadb-admin --no-defaults --socket=/run/m ping >/dev/null 2>&1; do sleep 0.1; done
exec 3<>/dev/tcp/127.0.0.1/3306
head -c 1 <&3 >/dev/null
ss -Htn state established dport = 3306 | wc -l
ss -K dport = 3306 >/dev/null
ss -Htn state established dport = 3306 | wc -l
timeout 1000 head -c 1000 <&3 2>&1 >/dev/null`)
	o.Memory = 1024
	got := boot(t, o)
	if !strings.HasPrefix(got.Stdout, "1\n0\n") || !strings.Contains(got.Stdout, "abort") {
		t.Errorf("%+v, want one connection, then none, and an error for its reader", got)
	}
}

func TestStockWritesOnlyWhereItMay(t *testing.T) {
	skipShort(t)
	writesOnlyWhereItMay(t, stockOptions)
}

// TestStockHasResidentFiles: a resident file is in the guest's memory, so it can be read after it was removed from this
// machine.
func TestStockHasResidentFiles(t *testing.T) {
	skipShort(t)
	o := stockOptions(t, "sh", "-c", `echo booted; read go; cat resident; cat other`)
	o.Dir = t.TempDir()
	resident, other := filepath.Join(o.Dir, "resident"), filepath.Join(o.Dir, "other")
	for _, path := range []string{resident, other} {
		if err := os.WriteFile(path, []byte("here\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.Resident = []string{resident, filepath.Join(o.Dir, "nonexistent")}
	stdin, goOn := io.Pipe()
	var stdout bytes.Buffer
	o.Stdin, o.Stdout = stdin, writerFunc(func(p []byte) {
		if stdout.Write(p); stdout.String() == "booted\n" {
			if err := errors.Join(os.Remove(resident), os.Remove(other)); err != nil {
				t.Error(err)
			}
			go func() { _, err := io.WriteString(goOn, "go\n"); goOn.CloseWithError(err) }()
		}
	})
	code, err := Boot(t.Context(), o)
	if err != nil || code != 1 || stdout.String() != "booted\nhere\n" {
		t.Errorf("%d, %v, output %q, want the resident file only", code, err, stdout.String())
	}
}

// TestStockCountsItsTime: the same commands take the same guest time in each boot, and idle time is skipped: an hour of
// sleep fits into Timeout, which is 5 minutes.
func TestStockCountsItsTime(t *testing.T) {
	skipShort(t)
	const script = `a=$(date +%s%N); i=0; while [ $i -lt 100 ]; do /bin/true; sleep 0.25; i=$((i+1)); done; b=$(date +%s%N); echo $((b - a)); sleep 3600`
	var took []int64
	for range 2 {
		got := boot(t, stockOptions(t, "sh", "-c", script))
		ns, err := strconv.ParseInt(strings.TrimSpace(got.Stdout), 10, 64)
		if err != nil {
			t.Fatalf("%+v: %v", got, err)
		}
		took = append(took, ns)
	}
	// Not exactly the same, because addresses and hashes are random.
	least, most := slices.Min(took), slices.Max(took)
	if least < 25e9 || most-least > 5e6 {
		t.Errorf("100 sleeps of 250 ms and 200 processes took %d ns, want the same within 5 ms, and at least 25 s", took)
	}
}

func TestStockCPUs(t *testing.T) {
	skipShort(t)
	o := stockOptions(t, "nproc")
	o.CPUs = 2
	if diff := cmp.Diff(result{Stdout: "2\n"}, boot(t, o)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoEmulatorOutlivesTheRunner(t *testing.T) {
	skipShort(t)
	o := stockOptions(t)
	cmd := exec.Command(o.Program, "-kernel", "debian", "-mem", "256", "--", "sh", "-c", "echo running; while :; do :; done")
	guardAndEmulator := func() []int { return processesWith(t, "\x00-name\x00"+o.Program+"\x00") }
	endsWithRunner(t, cmd, syscall.SIGKILL, guardAndEmulator, 2, time.Minute)
}

// TestStockForAnOrdinaryUser: the second kernel works for an ordinary user with a separate cache.
func TestStockForAnOrdinaryUser(t *testing.T) {
	skipShort(t)
	o := stockOptions(t)
	ordinaryUser(t, o.Program, o.Stock.Dir, "-kernel", "debian")
}

func TestStockOptionsAreRefused(t *testing.T) {
	stock := Stock{t.TempDir()}
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"CPUs of user-mode-linux", Options{Command: []string{"true"}, CPUs: 2}, "not possible"},
		{"negative number of CPUs", Options{Command: []string{"true"}, Stock: stock, CPUs: -1}, "not possible"},
		{"little memory", Options{Command: []string{"true"}, Stock: stock, Memory: 128}, "the minimum is 256"},
		{"an empty cache", Options{Command: []string{"true"}, Stock: stock}, "root.ext4"},
	} {
		if _, err := Boot(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error = %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestLoadOrder(t *testing.T) {
	const dep = `kernel/a/top.ko: kernel/a/mid-dle.ko kernel/a/low.ko
kernel/a/mid-dle.ko: kernel/a/low.ko
kernel/a/low.ko:
kernel/a/other.ko.xz:
`
	got, err := loadOrder(dep, []string{"top", "mid_dle", "other"})
	if diff := cmp.Diff([]string{"kernel/a/low.ko", "kernel/a/mid-dle.ko", "kernel/a/top.ko", "kernel/a/other.ko.xz"}, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if _, err := loadOrder(dep, []string{"absent"}); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("error = %v, want one with the module's name", err)
	}
}

func TestUnsigned(t *testing.T) {
	signature := func(size uint32) string {
		return string(binary.BigEndian.AppendUint32(make([]byte, 8), size)) + "~Module signature appended~\n"
	}
	for module, want := range map[string]string{
		"":                               "",
		"code":                           "code",
		"code" + "sign" + signature(4):   "code",
		"code" + signature(5):            "code" + signature(5), // longer than the file
		"~Module signature appended~\n":  "~Module signature appended~\n",
		"code" + "sign" + signature(1e9): "code" + "sign" + signature(1e9),
	} {
		if got := string(unsigned([]byte(module))); got != want {
			t.Errorf("%q: %q, want %q", module, got, want)
		}
	}
}

func TestKernelPayload(t *testing.T) {
	image := func(protocol uint16, offset, length uint32) []byte {
		b := make([]byte, 2048)
		b[0x1f1] = 1 // two sectors of setup
		copy(b[0x202:], "HdrS")
		binary.LittleEndian.PutUint16(b[0x206:], protocol)
		binary.LittleEndian.PutUint32(b[0x248:], offset)
		binary.LittleEndian.PutUint32(b[0x24c:], length)
		copy(b[1024+16:], "payloadSIZE")
		return b
	}
	got, err := kernelPayload(image(0x20f, 16, 11))
	if err != nil || string(got) != "payload" {
		t.Errorf("%q, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": make([]byte, 100), "nothing": make([]byte, 2048), "old": image(0x207, 16, 11),
		"beyond the end": image(0x20f, 16, 1<<32-1), "no size": image(0x20f, 16, 3),
	} {
		if got, err := kernelPayload(b); err == nil {
			t.Errorf("%s: %q, want an error", name, got)
		}
	}
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("hello"), 0o751); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := &archive{w: &out, has: make(map[string]bool)}
	for _, err := range []error{a.directory("/d", 0o755), a.directory("/d", 0o700), a.file("/d/f", source), a.end()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	entry := func(ino, mode, size int, name, content string) string {
		s := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
		return s + strings.Repeat("\x00", -len(s)&3) + content + strings.Repeat("\x00", -len(content)&3)
	}
	want := entry(1, 0o40755, 0, "d", "") + entry(2, 0o100751, 5, "d/f", "hello") + entry(3, 0, 0, "TRAILER!!!", "")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := a.file("/x", dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error = %v, want one for a directory", err)
	}
}
