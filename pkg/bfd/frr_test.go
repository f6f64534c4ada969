package bfd

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestFRRPackets: what bfdd of FRR 8.4.4 (Debian 12) sends decodes, and encodes again byte for byte.
func TestFRRPackets(t *testing.T) {
	text, err := os.ReadFile("testdata/frr.packets")
	if err != nil {
		t.Fatal(err)
	}
	states := map[State]bool{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if strings.HasPrefix(line, "#") {
			continue
		}
		payload, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, why := Parse(payload)
		if why != DropNone {
			t.Errorf("%s: dropped: %s", name, why)
			continue
		}
		states[p.State] = true
		if again := hex.EncodeToString(p.Append(nil)); again != digits {
			t.Errorf("%s: %+v is encoded as\n%s, captured was\n%s", name, p, again, digits)
		}
		if want, _, _ := strings.Cut(name, ","); !strings.EqualFold(want, p.State.String()) {
			t.Errorf("%s has the state %s", name, p.State)
		}
	}
	for _, s := range []State{Down, Init, Up} {
		if !states[s] {
			t.Errorf("no packet of the state %s", s)
		}
	}
}
