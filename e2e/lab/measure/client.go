package measure

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// The timeout is less than the second after which the kernel sends a lost SYN again, so that a lost packet is a failure. It is much
// longer than an answer takes, because a program that starts may take the guest's only CPU for a while. An answer that takes longer
// than promptly is none in a gap.
const (
	attemptTimeout = 900 * time.Millisecond
	promptly       = 150 * time.Millisecond
)

// Options are the options of a measuring client. The zero value is the client that the outage figures are measured
// with: a connection every 10 ms, timeout 900 ms, and answers after more than 150 ms are late.
type Options struct {
	Every    time.Duration // interval between attempts; 0 = 10 ms (50 ms with MySQL)
	Timeout  time.Duration // timeout of an attempt; 0 = 900 ms (1 s with MySQL). With a timeout of the scenario, or MySQL, no answer is late
	Graceful bool          // close with FIN; the default is RST, which leaves no ports in TIME_WAIT

	// MySQL makes each attempt log in, run one query and quit, instead of reading the first line that the server sends.
	MySQL *Login
}

// Login is the account and the query of a measuring client.
type Login struct {
	User     string
	Password string
	Query    string // its first column names the server; "" = SELECT @@hostname
}

// A Client is a running measuring client. It is open-loop: an attempt starts at every tick, whether or not earlier ones
// have ended. Ticks that are missed for lack of CPU are not made up for; they lengthen the gap.
type Client struct {
	h        *lab.Host
	d        *lab.Daemon
	patience time.Duration
	prompt   time.Duration // later answers are late
	clock    clock
}

// Start starts a measuring client on the host, and returns when the first attempt is about to start. The address is
// "IP:port", "[IP]:port" for IPv6.
func Start(h *lab.Host, address string, o Options) *Client {
	h.T().Helper()
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		h.T().Fatalf("lab: measure: %q is not an address and port", address)
	}
	role := "measure"
	every, patience, prompt := 10*time.Millisecond, attemptTimeout, promptly
	if o.MySQL != nil {
		role, every, patience, prompt = "measure-mysql", 50*time.Millisecond, time.Second, time.Second
	}
	if o.Every > 0 {
		every = o.Every
	}
	if o.Timeout > 0 {
		patience, prompt = o.Timeout, o.Timeout
	}
	a := arguments{Target: target, Every: every, Timeout: patience, Graceful: o.Graceful, MySQL: o.MySQL}
	m := &Client{h: h, patience: patience, prompt: prompt, clock: newClock()}
	m.d = h.StartRole(role, "measure-"+address, a)
	return m
}

// Attempts returns the attempts that have ended so far; those of the last 100 ms may be missing, and those that wait for an answer.
func (m *Client) Attempts() Result {
	m.h.T().Helper()
	return m.result(m.d.LogLines())
}

// WaitAnswered waits until an attempt that starts after this call is answered, and not late,
// by the named server ("" is any), and returns that attempt.
func (m *Client) WaitAnswered(server string, timeout time.Duration) Attempt {
	m.h.T().Helper()
	from := time.Now()
	var answered Attempt
	_, err := m.d.Mark().Find(timeout, func(line lab.LogLine) bool {
		for _, attempt := range m.result([]lab.LogLine{line}).Attempts {
			if attempt.prompt() && attempt.Start.After(from) && (server == "" || attempt.Server == server) {
				answered = attempt
				return true
			}
		}
		return false
	})
	if err != nil {
		m.h.T().Fatalf("no answer from %q %v: %s\n%s", server, err, m.Attempts().Since(from), m.d.Tail(5))
	}
	return answered
}

// Stop waits until all started attempts have ended, starts no more, and returns all.
func (m *Client) Stop() Result {
	m.h.T().Helper()
	m.d.CloseStdin()
	if code := m.d.Wait(m.patience + lab.Slowest); code != 0 {
		m.h.T().Fatalf("the measuring client failed: %s", m.d.Tail(5))
	}
	<-m.d.LogEnded()
	return m.Attempts()
}

// result parses the client's lines: "a START TOOK FAILURE SERVER", with times in µs of CLOCK_MONOTONIC and "-" for
// none.
func (m *Client) result(lines []lab.LogLine) Result {
	m.h.T().Helper()
	var r Result
	for _, line := range lines {
		words := strings.SplitN(line.Text, " ", 5)
		if len(words) != 5 || words[0] != "a" {
			continue
		}
		attempt, err := m.attempt(words)
		if err != nil {
			m.h.T().Fatalf("lab: the measuring client printed %q: %v", line.Text, err)
		}
		r.Attempts = append(r.Attempts, attempt)
	}
	sortByStart(r.Attempts)
	return r
}

func (m *Client) attempt(words []string) (Attempt, error) {
	start, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return Attempt{}, err
	}
	took, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return Attempt{}, err
	}
	a := Attempt{Start: m.clock.time(start), Took: time.Duration(took) * time.Microsecond, Failure: words[3], Server: words[4]}
	if a.Failure == "-" {
		a.Failure = ""
	}
	if a.Server == "-" {
		a.Server = ""
	}
	a.Late = a.Answered() && a.Took > m.prompt
	return a, nil
}

// arguments are the arguments of the client's process.
type arguments struct {
	Target   netip.AddrPort
	Every    time.Duration
	Timeout  time.Duration
	Graceful bool
	MySQL    *Login
}

func decode(encoded []byte) (arguments, error) {
	var a arguments
	if err := json.Unmarshal(encoded, &a); err != nil {
		return a, err
	}
	if a.Every <= 0 || a.Timeout <= 0 {
		return a, fmt.Errorf("every %s and patience %s must be positive", a.Every, a.Timeout)
	}
	return a, nil
}

// A clock converts CLOCK_MONOTONIC, which all processes of a kernel share, to this process's time.
type clock struct {
	at        time.Time
	monotonic int64 // µs
}

func newClock() clock { return clock{at: time.Now(), monotonic: monotonic()} }

func (c clock) time(micros int64) time.Time {
	return c.at.Add(time.Duration(micros-c.monotonic) * time.Microsecond)
}

// monotonic returns CLOCK_MONOTONIC in µs.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail for this clock
	return now.Nano() / 1000
}
