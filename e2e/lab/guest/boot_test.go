package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

func TestBootPassesStreamsAndCodes(t *testing.T) {
	o := bootOptions(t)
	binary := bytes.Repeat([]byte{0, 3, 4, 10, 13, 17, 19, 26, 127, 255}, 10_000)
	for _, tt := range []struct {
		name    string
		command []string
		stdin   []byte
		want    result
		daily   bool // also with -short
	}{
		{"success", []string{"true"}, nil, result{}, false},
		{"code", []string{"sh", "-c", "echo out; echo err >&2; exit 3"}, nil, result{3, "out\n", "err\n"}, true},
		{"signal", []string{"sh", "-c", "kill -TERM $$"}, nil, result{Code: 128 + 15}, false},
		{"binary input and output", []string{"cat"}, binary, result{Stdout: string(binary)}, true},
		{"unread input", []string{"echo", "done"}, binary, result{Stdout: "done\n"}, false},
		{"left-over daemon", []string{"sh", "-c", "sleep 1000 & echo started"}, nil, result{Stdout: "started\n"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.daily {
				skipShort(t)
			}
			o := o
			o.Command = tt.command
			o.Stdin = bytes.NewReader(tt.stdin)
			if diff := cmp.Diff(tt.want, boot(t, o)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestBootReportsWhatCannotStart(t *testing.T) {
	skipShort(t)
	_, err := tryBoot(t.Context(), bootOptions(t, "no-such-program"))
	if err == nil || !strings.Contains(err.Error(), "start no-such-program") {
		t.Errorf("error = %v, want one with the program's name", err)
	}
}

// TestGuestHasWhatScenariosNeed tests what scenarios need from the kernel and the packages, one line each. A line that
// fails is printed on stderr.
func TestGuestHasWhatScenariosNeed(t *testing.T) {
	const script = `
fail() { echo "failed: $1" >&2; bad=1; }
try() { "$@" >/tmp/output 2>&1 || { fail "$*"; cat /tmp/output >&2; }; }
test "$(id -u)" = 0 || fail root
test "$(hostname)" = lab || fail hostname
test -e /proc/net/ip_vs || fail ip_vs
ip -o link show lo | grep -q UP || fail "lo up"
ipvsadm -Ln | grep -q 'IP Virtual Server' || fail "ipvsadm -Ln"
for s in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; do
	try ipvsadm -A -f 1 -s $s
	try ipvsadm -D -f 1
done
try ipvsadm --start-daemon master --mcast-interface lo
try ip netns add a
try ip netns exec a ip link set lo up
try ip netns exec a ipvsadm -A -t 192.0.2.1:3306 -s wlc
try ip netns exec a ipvsadm -a -t 192.0.2.1:3306 -r 192.0.2.2 -g -w 5
ip netns exec a grep -q C0000201:0CEA /proc/net/ip_vs || fail "service in the namespace"
grep -q C0000201:0CEA /proc/net/ip_vs && fail "service outside the namespace"
try ip link add v0 type veth peer name v1 netns a
try ip link add b0 type bridge
try ip link add d0 type dummy
try ip link add m0 link v0 type macvlan mode bridge
try ip link add t0 type ipip local 127.0.0.1 remote 127.0.0.2
try ip link add vlan5 link v0 type vlan id 5
try tc qdisc add dev v0 root netem loss 10% delay 10ms
for t in iptables ip6tables; do
	try $t -t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 7
	try $t -A INPUT -m conntrack --ctstate INVALID -j DROP
done
try ping -c 1 -W 2 127.0.0.1
mkfifo /tmp/tcpdump
timeout 10 tcpdump -Z root -i lo -c 1 -w /tmp/cap icmp 2>/tmp/tcpdump & p=$!
exec 3</tmp/tcpdump
while read -r line <&3 && [ "${line#*listening}" = "$line" ]; do :; done # or until it exits
try ping -c 3 -i 0.2 127.0.0.1
wait $p || fail tcpdump
keepalived -v 2>&1 | grep -q '^Keepalived v' || fail keepalived
try /usr/lib/frr/bfdd --version
try nginx -v
try redis-server --version
try dnsmasq --version
try mariadbd --no-defaults --version
try mariadb --no-defaults --version
try mariadb-admin --no-defaults --version
test -f /usr/share/lvs-lab/mariadb/mysql/global_priv.frm || fail "MariaDB data"
for d in /tmp /run /dev/shm "$TMPDIR" "$HOME" /etc /usr; do try touch $d/.written; done
exit ${bad:-0}`
	got := boot(t, bootOptions(t, "sh", "-c", script))
	if got.Code != 0 || got.Stderr != "" {
		t.Errorf("code %d, stderr:\n%s", got.Code, got.Stderr)
	}
}

func TestGuestWritesOnlyWhereItMay(t *testing.T) {
	skipShort(t)
	writesOnlyWhereItMay(t, bootOptions)
}

// writesOnlyWhereItMay boots a guest that writes into the directories that it may write to, and elsewhere.
func writesOnlyWhereItMay(t *testing.T, options func(t *testing.T, command ...string) Options) {
	t.Helper()
	o := options(t, "sh", "-c", `
echo out >"$LVS_LAB_OUT/sub" && echo same >"$WRITABLE/file" && echo inner >"$WRITABLE/inner/file" &&
echo lost >"$PWD/lost" && cat "$PWD/lost" "$PWD/seen"`)
	o.Out, o.Dir = t.TempDir(), t.TempDir()
	both := t.TempDir()
	inner := filepath.Join(both, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	o.Writable = []string{inner, both, both}
	o.Env = []string{"WRITABLE=" + both}
	if err := os.WriteFile(filepath.Join(o.Dir, "seen"), []byte("host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result{Stdout: "lost\nhost\n"}, boot(t, o)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	for path, want := range map[string]string{
		filepath.Join(o.Out, "sub"):    "out\n",
		filepath.Join(both, "file"):    "same\n",
		filepath.Join(inner, "file"):   "inner\n",
		filepath.Join(o.Dir, "seen"):   "host\n",
		filepath.Join(o.Dir, "lost"):   "",
		filepath.Join("/", ".written"): "",
	} {
		got, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if string(got) != want {
			t.Errorf("%s has %q, want %q", path, got, want)
		}
	}
}

func TestBootEndsWithItsTimeout(t *testing.T) {
	skipShort(t)
	o := bootOptions(t, "sleep", "1000")
	o.Timeout = 3 * time.Second
	_, err := tryBoot(t.Context(), o)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("error = %v, want ErrTimeout", err)
	}
	if left := kernelsOf(t, o.Program); len(left) != 0 {
		t.Errorf("processes still running: %v", left)
	}
}

func TestBootEndsWithItsContext(t *testing.T) {
	skipShort(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	o := bootOptions(t, "sh", "-c", "echo running; while :; do :; done")
	o.Stdout = writerFunc(func([]byte) { cancel(stop) })
	if _, err := Boot(ctx, o); !errors.Is(err, stop) {
		t.Errorf("error = %v, want the context's cause", err)
	}
	if left := kernelsOf(t, o.Program); len(left) != 0 {
		t.Errorf("processes still running: %v", left)
	}
}

func TestTwoGuestsAtOnce(t *testing.T) {
	skipShort(t)
	o := bootOptions(t)
	var g errgroup.Group
	for i := range 2 {
		g.Go(func() error {
			o := o
			o.Command = []string{"sh", "-c", fmt.Sprintf("ipvsadm -A -f %d && ipvsadm -Sn", i+1)}
			got, err := tryBoot(t.Context(), o)
			want := result{Stdout: fmt.Sprintf("-A -f %d -s wlc\n", i+1)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("guest %d: -want +got:\n%s", i, diff)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func TestBootGivesATerminal(t *testing.T) {
	skipShort(t)
	o := bootOptions(t, "sh", "-c", "tty; stty size; read line; echo got $line; stty size")
	sizes := make(chan Size, 1)
	sizes <- Size{Rows: 40, Columns: 100}
	o.Interactive, o.Sizes = true, sizes
	o.Stdin = strings.NewReader("hello\n")
	got := boot(t, o)
	// The terminal also echoes the input, at an unknown position.
	for _, want := range []string{"/dev/pts/0\r\n", "40 100\r\n", "got hello\r\n"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("output %q does not have %q", got.Stdout, want)
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
