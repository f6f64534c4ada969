package replication

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	uuidA = "a1314f5a-2d44-11ef-9f35-000c295ce23f"
	uuidB = "630b58ac-2d4d-11ef-bee2-000c292df71b"
)

func TestParseSet(t *testing.T) {
	// The set of a real server in the field: four gaps.
	set, err := ParseSet(uuidB + ":1-1275,\n" + strings.ToUpper(uuidA) + ":1-3:5-1172:1174-1204:1207-1236:1238-1248")
	if err != nil {
		t.Fatal(err)
	}
	want := Set{uuidB: {{1, 1275}}, uuidA: {{1, 3}, {5, 1172}, {1174, 1204}, {1207, 1236}, {1238, 1248}}}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Error(diff)
	}
	tagged, err := ParseSet(uuidA + ":1-3:backup:1:4-6:2, " + uuidB + ":7")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Set{uuidA: {{1, 3}}, uuidA + ":backup": {{1, 2}, {4, 6}}, uuidB: {{7, 7}}}, tagged); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"x", uuidA, uuidA + ":", uuidA + ":0", uuidA + ":5-4", uuidA + ":1-", uuidA + ":-1", uuidA + ":99999999999999999999", "0-1-5"} {
		if set, err := ParseSet(bad); err == nil {
			t.Errorf("%q is accepted: %v", bad, set)
		}
	}
}

func TestSetIn(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", uuidA + ":1", true},
		{uuidA + ":1", "", false},
		{uuidA + ":2-3", uuidA + ":1-5", true},
		{uuidA + ":2-6", uuidA + ":1-5", false},
		{uuidA + ":1-5", uuidA + ":1-3:5", false}, // a gap
		{uuidA + ":1:3", uuidA + ":1-3", true},
		{uuidA + ":1-4", uuidA + ":1-2:3-4", true}, // intervals that touch
		{uuidA + ":1", uuidB + ":1-9", false},
		{uuidA + ":backup:1", uuidA + ":1-9", false}, // a tag has numbers of its own
	} {
		a, err1 := ParseSet(c.a)
		b, err2 := ParseSet(c.b)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got := a.In(b); got != c.want {
			t.Errorf("%q in %q: %v", c.a, c.b, got)
		}
	}
}

// TestSetInIsThatOfItsNumbers compares In with sets of numbers.
func TestSetInIsThatOfItsNumbers(t *testing.T) {
	numbers := rapid.MapOf(rapid.IntRange(1, 12), rapid.Just(true))
	write := func(set map[int]bool) string {
		text := ""
		for n := 12; n > 0; n-- { // in any order
			if set[n] {
				text += fmt.Sprintf(":%d", n)
			}
		}
		if text == "" {
			return ""
		}
		return uuidA + text
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		want := true
		for n := range a {
			want = want && b[n]
		}
		setA, err1 := ParseSet(write(a))
		setB, err2 := ParseSet(write(b))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got := setA.In(setB); got != want {
			t.Fatalf("%v in %v: %v", setA, setB, got)
		}
	})
}

func TestParseDomains(t *testing.T) {
	p, err := ParseDomains("0-1-100,5-2-7, 0-3-101")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DomainPosition{0: 101, 5: 7}, p); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"1", "0-1", "0-1-x", "0-1-2-3", "-1-1-1", "4294967296-1-1", uuidA + ":1"} {
		if p, err := ParseDomains(bad); err == nil {
			t.Errorf("%q is accepted: %v", bad, p)
		}
	}
	if !(DomainPosition{0: 4}).In(DomainPosition{0: 4, 1: 1}) || (DomainPosition{0: 5}).In(DomainPosition{0: 4}) || (DomainPosition{2: 1}).In(DomainPosition{0: 4}) {
		t.Error("In compares wrongly")
	}
}

func FuzzGTIDs(f *testing.F) {
	f.Add(uuidA + ":1-3:tag:4,\n" + uuidB + ":1")
	f.Add("0-1-100,5-2-7")
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := ParseSet(text); err == nil && !set.In(set) {
			t.Errorf("%q is not in itself", text)
		}
		if p, err := ParseDomains(text); err == nil && !p.In(p) {
			t.Errorf("%q is not in itself", text)
		}
	})
}
