package bfd

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

var params = Params{Discriminator: 7, MinTx: 10 * ms, MinRx: 20 * ms, Multiplier: 3}

// bench is a session with a hand-written neighbour.
type bench struct {
	t *testing.T
	*Session
	at   time.Duration
	peer Packet // the neighbour's next packet
}

func newBench(t *testing.T, p Params) *bench {
	b := &bench{t: t, Session: NewSession(p), peer: Packet{
		State: Down, Multiplier: 3, MyDiscriminator: 9, YourDiscriminator: 7, DesiredMinTx: 30 * ms, RequiredMinRx: 40 * ms,
	}}
	return b
}

// do runs a Step and returns the packets sent and the changes.
func (b *bench) do(ev Event) (sent []Packet, changes []Change) {
	b.t.Helper()
	for _, a := range b.Step(b.at, 1, ev) {
		switch a := a.(type) {
		case Send:
			sent = append(sent, a.Packet)
		case Change:
			changes = append(changes, a)
		}
	}
	if due, ok := b.Deadline(); ok && due <= b.at {
		b.t.Fatalf("at %s: the deadline %s is not later", b.at, due)
	}
	return sent, changes
}

// hear receives the neighbour's packet with this state.
func (b *bench) hear(state State) (sent []Packet, changes []Change) {
	b.t.Helper()
	b.peer.State = state
	return b.do(Received{b.peer})
}

// after lets time pass.
func (b *bench) after(d time.Duration) (sent []Packet, changes []Change) {
	b.t.Helper()
	b.at += d
	return b.do(Tick{})
}

// up brings the session up.
func (b *bench) up() {
	b.t.Helper()
	b.do(Tick{})
	b.hear(Down)
	b.hear(Init)
	b.peer.Final = true
	b.hear(Up) // ends the Poll Sequence
	b.peer.Final = false
	if b.settle(); b.State() != Up || b.polling {
		b.t.Fatalf("%s, polling: %t", b.State(), b.polling)
	}
}

// settle lets a second pass in which the neighbour is heard.
func (b *bench) settle() (sent []Packet, changes []Change) {
	b.t.Helper()
	b.at += sec
	return b.hear(b.peer.State)
}

// TestRFC5880Section62States: the state machine of section 6.2 and 6.8.6, for every state and every packet.
func TestRFC5880Section62States(t *testing.T) {
	reach := map[State]func(*bench){
		AdminDown: func(b *bench) { b.do(Disable{}) },
		Down:      func(b *bench) { b.do(Tick{}) },
		Init:      func(b *bench) { b.hear(Down) },
		Up:        func(b *bench) { b.up() },
	}
	type edge struct {
		to   State
		diag Diag
	}
	want := map[State]map[State]edge{
		AdminDown: {AdminDown: {AdminDown, 7}, Down: {AdminDown, 7}, Init: {AdminDown, 7}, Up: {AdminDown, 7}},
		Down:      {AdminDown: {Down, 0}, Down: {Init, 0}, Init: {Up, 0}, Up: {Down, 0}},
		Init:      {AdminDown: {Down, 3}, Down: {Init, 0}, Init: {Up, 0}, Up: {Up, 0}},
		Up:        {AdminDown: {Down, 3}, Down: {Down, 3}, Init: {Up, 0}, Up: {Up, 0}},
	}
	for from, edges := range want {
		for heard, e := range edges {
			b := newBench(t, params)
			reach[from](b)
			_, changes := b.hear(heard)
			if got := (edge{b.State(), b.Diag()}); got != e {
				t.Errorf("%s, received %s: %v, want %v", from, heard, got, e)
			}
			if len(changes) != 0 != (from != e.to) || len(changes) > 0 && (changes[0].Lost() || changes[0].Remote != heard) {
				t.Errorf("%s, received %s: %+v", from, heard, changes)
			}
		}
	}
}

// TestRFC5880Section683SlowStart: a session that is not Up sends once a second, whatever is configured; the first packet
// goes out at once.
func TestRFC5880Section683SlowStart(t *testing.T) {
	b := newBench(t, params)
	sent, _ := b.do(Tick{})
	want := []Packet{{State: Down, Multiplier: 3, MyDiscriminator: 7, DesiredMinTx: sec, RequiredMinRx: 20 * ms}}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
	if sent, _ = b.after(999 * ms); len(sent) != 0 {
		t.Errorf("sent %v after less than a second", sent)
	}
	if sent, _ = b.after(ms); len(sent) != 1 {
		t.Errorf("sent %v after a second", sent)
	}
}

// TestRFC5880Section683Poll: a session that comes up announces its own interval at once, with Poll until the neighbour
// confirms.
func TestRFC5880Section683Poll(t *testing.T) {
	b := newBench(t, params)
	b.do(Tick{})
	b.hear(Down)
	sent, changes := b.hear(Init)
	if len(changes) != 1 || len(sent) != 1 || !sent[0].Poll || sent[0].DesiredMinTx != 10*ms || sent[0].State != Up || sent[0].YourDiscriminator != 9 {
		t.Fatalf("%+v, %+v", sent, changes)
	}
	if sent, _ = b.after(40 * ms); len(sent) != 1 || !sent[0].Poll {
		t.Errorf("the Poll Sequence does not go on: %+v", sent)
	}
	b.hear(Up) // does not end it
	if sent, _ = b.after(40 * ms); len(sent) != 1 || !sent[0].Poll {
		t.Errorf("the Poll Sequence ends without Final: %+v", sent)
	}
	b.peer.Final = true
	b.hear(Up)
	b.peer.Final = false
	if sent, _ = b.after(40 * ms); len(sent) != 1 || sent[0].Poll {
		t.Errorf("the Poll Sequence does not end: %+v", sent)
	}
}

// TestRFC5880Section65Final: a Poll is answered at once, outside the schedule, without Poll.
func TestRFC5880Section65Final(t *testing.T) {
	b := newBench(t, params)
	b.up()
	next, _ := b.Deadline()
	b.at += ms
	b.peer.Poll = true
	sent, _ := b.hear(Up)
	if len(sent) != 1 || !sent[0].Final || sent[0].Poll {
		t.Fatalf("%+v", sent)
	}
	if again, _ := b.Deadline(); again != next {
		t.Errorf("the next packet is due at %s, before at %s", again, next)
	}
	b.do(Reconfigure{Params{MinTx: 50 * ms, MinRx: 20 * ms, Multiplier: 3}})
	sent, _ = b.hear(Up) // while we poll, too
	if len(sent) != 1 || !sent[0].Final || sent[0].Poll {
		t.Errorf("%+v", sent)
	}
}

// TestRFC5880Section683Held: a longer transmission interval and a shorter detection time take effect with the Final bit;
// the opposite at once. A change during a Poll Sequence needs another one.
func TestRFC5880Section683Held(t *testing.T) {
	b := newBench(t, params)
	b.peer.RequiredMinRx, b.peer.DesiredMinTx = ms, ms
	b.up()
	check := func(when string, tx, detection time.Duration) {
		t.Helper()
		if b.TxInterval() != tx || b.DetectionTime() != detection {
			t.Errorf("%s: interval %s, detection time %s; want %s, %s", when, b.TxInterval(), b.DetectionTime(), tx, detection)
		}
	}
	check("up", 10*ms, 60*ms)
	b.do(Reconfigure{Params{MinTx: 50 * ms, MinRx: 5 * ms, Multiplier: 3}})
	check("slower tx and faster rx", 10*ms, 60*ms)
	b.do(Reconfigure{Params{MinTx: 60 * ms, MinRx: 5 * ms, Multiplier: 3}})
	b.peer.Final = true
	b.hear(Up)
	check("the first Final", 10*ms, 60*ms)
	b.hear(Up)
	check("the second Final", 60*ms, 15*ms)
	b.peer.Final = false
	b.do(Reconfigure{Params{MinTx: 5 * ms, MinRx: 30 * ms, Multiplier: 3}})
	check("faster tx and slower rx", 5*ms, 90*ms)
	if sent, _ := b.after(5 * ms); len(sent) != 1 || !sent[0].Poll || sent[0].MyDiscriminator != 7 {
		t.Errorf("%+v", sent)
	}
}

// TestRFC5880Section684Detection: the detection time is the neighbour's multiplier by the longer of its interval and the
// one that we can receive.
func TestRFC5880Section684Detection(t *testing.T) {
	for _, c := range []struct {
		multiplier uint8
		tx, want   time.Duration
	}{{3, 30 * ms, 90 * ms}, {5, 10 * ms, 100 * ms}, {1, 50 * ms, 50 * ms}} {
		b := newBench(t, params)
		b.peer.Multiplier, b.peer.DesiredMinTx = c.multiplier, c.tx
		b.up()
		begin := b.at
		var changes []Change
		for b.at-begin < c.want-ms {
			if _, changes = b.after(ms); len(changes) > 0 {
				t.Fatalf("multiplier %d, interval %s: %+v after %s", c.multiplier, c.tx, changes, b.at-begin)
			}
		}
		sent, changes := b.after(ms)
		want := []Change{{From: Up, To: Down, Diag: DiagDetection, Remote: Up, Lasted: sec + c.want, Silent: c.want}}
		if diff := cmp.Diff(want, changes); diff != "" || !changes[0].Lost() {
			t.Errorf("multiplier %d, interval %s:\n%s", c.multiplier, c.tx, diff)
		}
		// Section 6.8.1: the discriminator of the neighbour is forgotten. Section 6.8.3: the slow interval.
		if len(sent) != 1 || sent[0].State != Down || sent[0].Diag != DiagDetection || sent[0].YourDiscriminator != 0 || sent[0].DesiredMinTx != sec {
			t.Errorf("sent %+v", sent)
		}
	}
}

// TestLateDetectionIsNoEvidence: a detection that this host notices late gets the detection time once more, and not a
// second time.
func TestLateDetectionIsNoEvidence(t *testing.T) {
	b := newBench(t, params) // a detection time of 90 ms
	b.up()
	if _, changes := b.after(140 * ms); len(changes) != 0 {
		t.Fatalf("after a stall of 140 ms: %+v", changes)
	}
	if _, changes := b.after(89 * ms); len(changes) != 0 {
		t.Fatalf("89 ms after the stall: %+v", changes)
	}
	if _, changes := b.after(200 * ms); len(changes) != 1 || !changes[0].Lost() {
		t.Errorf("after a second stall: %+v", changes)
	}
	b = newBench(t, params)
	b.up()
	b.after(140 * ms)
	b.hear(Up)
	if _, changes := b.after(140 * ms); len(changes) != 0 {
		t.Errorf("a packet between two stalls: %+v", changes)
	}
	if !b.DrainFirst(b.at+90*ms) || b.DrainFirst(b.at) {
		t.Error("DrainFirst")
	}
}

// TestRFC5880Section682Interval: this side sends no faster than the neighbour can receive.
func TestRFC5880Section682Interval(t *testing.T) {
	b := newBench(t, params)
	b.up()
	if b.TxInterval() != 40*ms {
		t.Errorf("%s", b.TxInterval())
	}
	b.peer.RequiredMinRx = 2 * sec
	b.hear(Up)
	if b.TxInterval() != 2*sec {
		t.Errorf("%s", b.TxInterval())
	}
	// Section 6.8.7: a neighbour that requires 0 gets no periodic packets, and one in demand mode none while both are Up,
	// but both get answers.
	for _, quiet := range []func(){
		func() { b.peer.RequiredMinRx = 0 },
		func() { b.peer.RequiredMinRx, b.peer.Demand = ms, true },
	} {
		quiet()
		b.hear(Up)
		if sent, _ := b.after(20 * ms); len(sent) != 0 {
			t.Errorf("sent %+v", sent)
		}
		b.peer.Poll = true
		if sent, _ := b.hear(Up); len(sent) != 1 || !sent[0].Final {
			t.Errorf("sent %+v", sent)
		}
		b.peer.Poll = false
	}
}

// TestRFC5880Section687Jitter: 75 to 100 % of the interval, at most 90 % with a multiplier of 1.
func TestRFC5880Section687Jitter(t *testing.T) {
	for _, c := range []struct {
		multiplier uint8
		random     float64
		want       time.Duration
	}{{3, 0, 750 * ms}, {3, 1, sec}, {3, 0.5, 875 * ms}, {1, 1, 900 * ms}, {1, 0, 750 * ms}, {2, 7, sec}, {2, -7, 750 * ms}} {
		s := NewSession(Params{Multiplier: c.multiplier})
		s.Step(0, c.random, Tick{})
		if due, _ := s.Deadline(); due != c.want {
			t.Errorf("multiplier %d, random %v: %s, want %s", c.multiplier, c.random, due, c.want)
		}
	}
}

// TestRFC5880Section61Passive: a passive session is silent until it hears the neighbour, and again when that is gone.
func TestRFC5880Section61Passive(t *testing.T) {
	p := params
	p.Passive = true
	b := newBench(t, p)
	if sent, _ := b.do(Tick{}); len(sent) != 0 {
		t.Errorf("sent %+v", sent)
	}
	if _, ok := b.Deadline(); ok {
		t.Error("a deadline without a neighbour")
	}
	b.peer.YourDiscriminator = 0
	if sent, _ := b.hear(Down); len(sent) != 1 || sent[0].State != Init {
		t.Errorf("sent %+v", sent)
	}
	b.peer.YourDiscriminator = 7
	b.hear(Init)
	if sent, changes := b.after(120 * ms); len(changes) != 1 || len(sent) != 0 {
		t.Errorf("%+v, sent %+v", changes, sent)
	}
}

// TestRFC5880Section6816AdminDown: a session that is switched off says so at once and goes on saying it; switched on, it
// comes up again.
func TestRFC5880Section6816AdminDown(t *testing.T) {
	b := newBench(t, params)
	b.up()
	sent, changes := b.do(Disable{})
	if len(sent) != 1 || sent[0].State != AdminDown || sent[0].Diag != DiagAdminDown || len(changes) != 1 || changes[0].Lost() {
		t.Fatalf("%+v, %+v", sent, changes)
	}
	if sent, changes = b.after(10 * sec); len(sent) != 1 || len(changes) != 0 {
		t.Errorf("%+v, %+v", sent, changes)
	}
	if why := b.Refuses(b.peer); why != DropAdminDown {
		t.Errorf("refuses %s", why)
	}
	if sent, _ = b.do(Enable{}); len(sent) != 1 || sent[0].State != Down {
		t.Errorf("%+v", sent)
	}
	b.up()
}

// TestFailed: a session has failed from its loss until it is up again, or the neighbour says that BFD is off.
func TestFailed(t *testing.T) {
	b := newBench(t, params)
	check := func(when string, want bool) {
		t.Helper()
		if b.Failed() != want {
			t.Errorf("%s: %t", when, !want)
		}
	}
	check("at the start", false)
	b.hear(Down)
	b.after(10 * sec)
	b.after(10 * sec)
	check("after the loss of a session that was never up", false)
	b.up()
	check("up", false)
	b.hear(AdminDown)
	check("switched off by the neighbour", false)
	b.hear(Down)
	check("switched on again", false)
	b.up()
	b.hear(Down)
	check("the neighbour says Down", true)
	b.hear(Down)
	check("on the way up", true)
	b.up()
	b.after(90 * ms)
	check("silence", true)
	b.after(time.Hour)
	check("an hour later", true)
	b.hear(AdminDown)
	check("back, and switched off", false)
	b.up()
	b.do(Disable{})
	check("switched off here", false)
}

// TestRFC5880Section686Restart: a neighbour that restarts does not know our discriminator, and takes the session down;
// packets for the session of an earlier run of this host are discarded.
func TestRFC5880Section686Restart(t *testing.T) {
	b := newBench(t, params)
	b.up()
	stale := b.peer
	stale.YourDiscriminator, stale.State = 6, Down
	if _, changes := b.do(Received{stale}); len(changes) != 0 || b.Refuses(stale) != DropDiscriminator {
		t.Errorf("for another session: %+v", changes)
	}
	b.peer.MyDiscriminator, b.peer.YourDiscriminator = 10, 0
	_, changes := b.hear(Down)
	if len(changes) != 1 || changes[0].Diag != DiagNeighbourDown || changes[0].Lost() {
		t.Errorf("%+v", changes)
	}
	b.peer.YourDiscriminator = 7
	b.up()
	if state, _, heard := b.Remote(); state != Up || !heard || !b.EverUp() || b.Since() != b.at-sec {
		t.Errorf("%s, heard %t, ever up %t, since %s", state, heard, b.EverUp(), b.Since())
	}
}
