package vrrp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// secretOf returns a password.
func secretOf(t interface{ Fatal(...any) }, text string) Password {
	p, err := ParsePassword(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePassword(t *testing.T) {
	for text, want := range map[string]string{
		"1": "", "12345678": "", "a b": "", "!~#\"'\\": "",
		"":           "is empty",
		"123456789":  "is longer than 8 characters, of which keepalived uses only the first 8",
		" 1234567":   "begins or ends with a space",
		"1234567 ":   "begins or ends with a space",
		"pässwrd":    "not printable ASCII",
		"one\ntwo":   "not printable ASCII",
		"tab\there":  "not printable ASCII",
		"nul\x00":    "not printable ASCII",
		"long\x80er": "not printable ASCII",
	} {
		p, err := ParsePassword(text)
		if want == "" {
			if err != nil || p.IsZero() {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || !p.IsZero() {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if text != "" && text != "1" && strings.Contains(err.Error(), text) {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}

// TestPasswordsAreNotPrinted prints all values that contain a password in every way.
func TestPasswordsAreNotPrinted(t *testing.T) {
	const secret = "s3cr3t"
	p := Params{VRID: 51, Version: 2, Source: master, AuthType: authPassword, Password: secretOf(t, secret)}
	m := NewMachine(p)
	trace := NewTrace(m, 10)
	trace.Step(m, 0, Startup{})
	trace.Step(m, sec, Reconfigure{Params: p})
	pkt := Packet{Version: 2, VRID: 51, Priority: 1, Interval: sec, Addresses: []netip.Addr{vip}, AuthType: authPassword, Password: p.Password}
	h := Classify(advertFrom(t, master, pkt), Params{VRID: 51, Version: 2, Source: backup}, []netip.Addr{vip}, ourPeers)
	var s Sightings
	s.Note(0, h, p, nil)
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	plain := slog.New(slog.NewJSONHandler(&out, nil))
	verbs := []string{"%v", "%+v", "%#v"}
	for n, v := range []any{m, *m, trace, s, &s, p.Password, &p.Password, p, &p, trace.String(), Reconfigure{Params: p}, pkt, &pkt, h, &h, s.Report(0, View{Params: p})} {
		if n == 5 { // from here on the passwords are in exported fields
			verbs = append(verbs, "%s", "%q", "%x", "%X", "%d")
		}
		for _, verb := range verbs {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		log.Info("", "v", v)
		plain.Info("", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(text, '\n'))
	}
	text := out.String()
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"), fmt.Sprintf("%#v", []byte(secret))[8:12] + ", 0x33"} {
		if strings.Contains(text, form) {
			at := strings.Index(text, form)
			t.Errorf("the password is printed as %q: …%s…", form, text[max(0, at-200):min(len(text), at+50)])
		}
	}
}

// TestRFC2338Section5_3_10AuthenticationData: a password arrives as it was sent, and only the same one is obeyed.
func TestRFC2338Section5_3_10AuthenticationData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.StringMatching(`[!-~]([ -~]{0,6}[!-~])?`)
		ours, theirs := texts.Draw(t, "ours"), texts.Draw(t, "theirs")
		p := Packet{Version: 2, VRID: 51, Priority: 150, Interval: sec, Addresses: []netip.Addr{vip}, AuthType: authPassword, Password: secretOf(t, theirs)}
		d := advertFrom(t, master, p)
		back, why := Parse(d.Payload, d.Source, d.Destination)
		if why != DropNone || back.Password != p.Password || back.AuthType != authPassword {
			t.Fatalf("%s: %+v", why, back)
		}
		if got, want := string(d.Payload[len(d.Payload)-8:]), theirs+strings.Repeat("\x00", 8-len(theirs)); got != want {
			t.Fatalf("on the wire: %q, want %q", got, want)
		}
		us := Params{VRID: 51, Version: 2, Source: backup, AuthType: authPassword, Password: secretOf(t, ours)}
		h := Classify(d, us, []netip.Addr{vip}, ourPeers)
		if same := ours == theirs; (h.Standing == Obeyed) != same || (h.Drop == DropAuth) == same {
			t.Fatalf("%q, %q: %d, %s", ours, theirs, h.Standing, h.Drop)
		}
	})
}

// TestNoPassword: without a password nothing is sent and nothing is obeyed, not even an advert whose password is empty.
func TestNoPassword(t *testing.T) {
	p := Packet{Version: 2, VRID: 51, Priority: 150, Interval: sec, Addresses: []netip.Addr{vip}, AuthType: authPassword}
	if _, err := p.Append(nil, master, group, PlainChecksum); err == nil {
		t.Error("an advert without its password can be sent")
	}
	p.AuthType = authNone
	empty := advertFrom(t, master, p)
	empty.Payload[4], empty.Payload[6] = authPassword, empty.Payload[6]-authPassword
	us := Params{VRID: 51, Version: 2, Source: backup, AuthType: authPassword}
	if h := Classify(empty, us, []netip.Addr{vip}, ourPeers); h.Standing != Refused || h.Drop != DropAuth {
		t.Errorf("an empty password: %d, %s", h.Standing, h.Drop)
	}
}
