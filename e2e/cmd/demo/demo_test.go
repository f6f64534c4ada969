package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestConstantsMatchClusterFile: the constants that the expectations are based on are those of the cluster file.
func TestConstantsMatchClusterFile(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(strings.ReplaceAll(clusterFile, "check.password", "/tmp/password")))
	if cfg == nil {
		t.Fatal(problems)
	}
	type promise struct {
		advert, lease, interval, timeout time.Duration
		master, backup                   uint8
		fall, rise, weight1, weight2     int
		vip                              string
	}
	instance, server := cfg.Instances[0], cfg.VirtualServers[0]
	check := server.Checks[0]
	got := promise{
		instance.AdvertInterval, instance.Lease, check.Interval, check.Timeout,
		cfg.ForNode("lvs-master").Instances[0].Priority, cfg.ForNode("lvs-backup").Instances[0].Priority,
		check.Fall, check.Rise, server.RealServers[0].Weight, server.RealServers[1].Weight,
		instance.VirtualAddresses[0].Addr().String(),
	}
	want := promise{advert, lease, checkEvery, checkTimeout, 150, 100, fall, rise, weight1, 1, vip}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(promise{})); diff != "" {
		t.Error(diff)
	}
	if want := 609375 * time.Microsecond; skewBackup != want {
		t.Errorf("skew of lvs-backup %s, want %s", skewBackup, want)
	}
}

func TestRender(t *testing.T) {
	for line, want := range map[string]string{
		`time=2026-11-21T09:53:23.548Z level=INFO msg=state instance=mysql vrid=51 from=BACKUP to=MASTER reason="MASTER: no other director heard for 3.41s"`: "BACKUP → MASTER: no other director heard for 3.41s",
		`time=T level=WARN msg=verdict server=mysql/mysql2 up=false full=false code=refused reason="down: mysql: connection refused (2 of 2)"`:               "mysql/mysql2 is down: mysql: connection refused (2 of 2)",
		`time=T level=INFO msg=verdict server=probe/mysql2 up=true full=false code=ok reason="up: tcp"`:                                                      "",
		`time=T level=INFO msg="VIPs are up" instance=mysql interface=eth0 lease=5s took=9.2ms`:                                                              "has the VIP on eth0, leased for 5s from the kernel",
		`time=T level=INFO msg="removed a leftover VIP" interface=eth0 vip=10.77.0.100/32`:                                                                   "removes the VIP that an earlier run left",
		`time=T level=WARN msg=state problem="the state file is damaged"`:                                                                                    "warn: state: the state file is damaged",
		`time=T level=ERROR msg="cannot send adverts" error="sendto: \"eth0\" is down"`:                                                                      `error: cannot send adverts: sendto: "eth0" is down`,
		`time=T level=INFO msg=sysctl key=net.ipv4.vs.expire_nodest_conn from=0 to=1`:                                                                        "",
		`panic: runtime error`: "",
		`msg="unclosed`:        "",
		``:                     "",
	} {
		if got := render(line); got != want {
			t.Errorf("render(%s)\n got %q\nwant %q", line, got, want)
		}
	}
}

// attempts builds a client's result: one letter per tick of 20 ms, x is a failure.
func attempts(start time.Time, ticks string) (r measure.Result) {
	for i, tick := range ticks {
		a := measure.Attempt{Start: start.Add(time.Duration(i) * 20 * time.Millisecond), Server: "mysql1"}
		if tick == 'x' {
			a.Server, a.Failure = "", "timeout"
		}
		r.Attempts = append(r.Attempts, a)
	}
	return r
}

func TestOutage(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		ticks string
		met   bool
		got   string
		want  string
		limit string
	}{
		{"aaaaaa", true, "20 ms", "≤ 80 ms (a test)", "≤ 80 ms"},
		{"aaxxxaa", true, "80 ms", "≤ 80 ms (a test)", "≤ 80 ms"},
		{"aaxxxxaa", false, "100 ms", "≤ 80 ms (a test)", "≤ 80 ms"},
		{"xxxxxxxx", false, "140 ms", "≤ 80 ms (a test)", "≤ 80 ms"},
	} {
		e := outage(attempts(start, test.ticks), 80*time.Millisecond, "(a test)")
		if e.met != test.met || e.got != test.got || e.want != test.want || e.limit != test.limit || !e.headline {
			t.Errorf("%s: got %+v, want %+v", test.ticks, e, test)
		}
	}
}

func TestNone(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	event := start.Add(70 * time.Millisecond) // between the fourth and the fifth attempt
	for ticks, want := range map[string]expectation{
		"axxxaaa": {what: "w", got: "0 of 3", met: true}, // failures before the event do not count
		"aaaaxaa": {what: "w", got: "1 of 3"},
		"aaaa":    {what: "w", got: "0 of 0"}, // no attempt after the event proves nothing
	} {
		if got := none("w", attempts(start, ticks), event); got != want {
			t.Errorf("%s: got %+v, want %+v", ticks, got, want)
		}
	}
}

func TestTimelineFits(t *testing.T) {
	var out bytes.Buffer
	s := newTimeline(&out, false)
	s.heading(3, "the cable of lvs-master, the MASTER, is cut")
	s.now("lvs-master", "%s", strings.Repeat("the interface eth0 has no carrier: check its cable and switch port ", 4))
	s.judge(outage(attempts(s.start, "aaxxxxaa"), masterDown, "= 3 adverts + skew + 0.15 s"))
	s.judge(atMost("mysql2 out of the table of lvs-backup after", time.Second, 3900*time.Millisecond, "= fall × interval + timeout"))
	printIntro(s)
	for _, line := range strings.Split(out.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.Contains(line, "\x1b") {
			t.Errorf("coloured without a terminal: %q", line)
		}
	}
	if text := out.String(); !strings.Contains(text, "✓ the client's longest time") {
		t.Errorf("no verdict in:\n%s", text)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"äöü éèê x", []string{"äöü éèê", "x"}},
		{"unbreakable-word a", []string{"unbreakable-word", "a"}},
	} {
		if diff := cmp.Diff(test.want, wrap(test.text, 8)); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
	}
}

func TestQueries(t *testing.T) {
	got := queries(attempts(time.Now(), "aaxa"))
	if want := "4 logins: mysql1 answered 3, mysql2 answered 0, 1 failed (timeout)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRequestOutsideTheShell(t *testing.T) {
	t.Setenv(socketVariable, "")
	var out, problem bytes.Buffer
	if code := request([]string{"ask"}, &out, &problem); code != exitFailed || !strings.Contains(problem.String(), "make demo-shell") {
		t.Errorf("exit code %d, %q", code, problem.String())
	}
}
