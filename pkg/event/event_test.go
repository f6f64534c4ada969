package event

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var at = time.Date(2026, 11, 21, 14, 50, 23, 123456789, time.UTC)

func TestLine(t *testing.T) {
	e := Event{
		Time: at, Kind: InstanceState, Subject: "mysql", From: "BACKUP", To: "MASTER", VirtualRouterID: 51,
		Reason: "MASTER: no advert from 10.77.0.2 for 3.61s",
	}
	line, err := e.Line()
	const want = `{"time":"2026-11-21T14:50:23.123456789Z","kind":"instance_state","subject":"mysql","from":"BACKUP","to":"MASTER",` +
		`"reason":"MASTER: no advert from 10.77.0.2 for 3.61s","virtual_router_id":51}` + "\n"
	if err != nil || string(line) != want {
		t.Fatalf("%s, %v; want %s", line, err, want)
	}
	back, err := Parse(line)
	if diff := cmp.Diff(e, back); diff != "" || err != nil {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":      "",
		"torn":         `{"time":"2026-11-21T14:50:23Z","kind":"instance_st`,
		"no kind":      `{"time":"2026-11-21T14:50:23Z"}`,
		"no time":      `{"kind":"instance_state"}`,
		"another type": `{"time":"2026-11-21T14:50:23Z","kind":"x","reason":{}}`,
		"two":          `{"time":"2026-11-21T14:50:23Z","kind":"x"}{"time":"2026-11-21T14:50:23Z","kind":"x"}`,
		"too long":     `{"time":"2026-11-21T14:50:23Z","kind":"x","reason":"` + strings.Repeat("x", MaxLine) + `"}`,
	} {
		if e, err := Parse([]byte(line)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if e, err := Parse([]byte(`{"time":"2026-11-21T14:50:23Z","kind":"of another version","weight":3}`)); err != nil || e.Kind != "of another version" {
		t.Errorf("an event of a newer version: %+v, %v", e, err)
	}
}

// Any event fits into a line and can be read back.
func TestBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("\x00", 5000), strings.Repeat("\xff", 5000), strings.Repeat("é", 5000), strings.Repeat("\u2028", 5000)} {
		e := Event{Time: time.Now(), Kind: Kind(text), Subject: text, From: text, To: text, Code: text, Reason: text, VirtualRouterID: 255}.Bounded()
		if len(e.Reason) > MaxText || len(e.Subject) > MaxName || utf8.ValidString(text) && !utf8.ValidString(e.Reason) {
			t.Errorf("%d bytes of reason, %d of subject", len(e.Reason), len(e.Subject))
		}
		line, err := e.Line()
		if err != nil || len(line) > MaxLine || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%d bytes, %v", len(line), err)
		}
		if _, err := Parse(line); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	line, _ := Event{Time: at, Kind: ProblemRaised, To: "WARNING", Code: "packet_flood", Reason: "eth0: \"…\""}.Line()
	f.Add(line)
	f.Add(line[:len(line)/2])
	f.Add([]byte("\x00\xff{}[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		again, err := e.Line()
		if err != nil {
			t.Fatalf("can be read but not written: %+v: %v", e, err)
		}
		back, err := Parse(again)
		if err != nil || !back.Time.Equal(e.Time) || back.Kind != e.Kind {
			t.Fatalf("%s is read as %+v, %v; want %+v", again, back, err, e)
		}
	})
}
