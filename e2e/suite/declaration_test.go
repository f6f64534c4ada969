package suite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const planOutput = Mark + `
=== RUN   TestOne
=== PAUSE TestOne
=== RUN   TestTwo
=== ATTR  TestTwo lab.longer 
=== RUN   TestTwo/part_of
=== ATTR  TestTwo/part_of lab.kernel debian
=== ATTR  TestTwo/part_of lab.need nftables ipvs
=== ATTR  TestTwo/part_of lab.need ipvs
=== ATTR  TestTwo/part_of another.one lab.long
=== ATTR  TestTwo/part_of lab.planned 
--- PASS: TestTwo (0.00s)
    --- SKIP: TestTwo/part_of (0.00s)
=== CONT  TestOne
=== ATTR  TestOne lab.need 
=== ATTR  TestOne lab.exclusive 
=== ATTR  TestOne lab.long 
=== ATTR  TestOne lab.anykernel 
=== ATTR  TestOne lab.planned 
--- SKIP: TestOne (0.00s)
PASS
`

func TestParsePlan(t *testing.T) {
	got, err := ParsePlan(planOutput)
	if err != nil {
		t.Fatal(err)
	}
	want := []Scenario{
		{Name: "TestTwo", Needs: []string{"ipvs", "nftables"}, Kernel: Debian, Longer: true},
		{Name: "TestOne", Kernel: UML, Exclusive: true, Long: true, AnyKernel: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParsePlanRefuses(t *testing.T) {
	for _, tt := range []struct{ output, want string }{
		{"--- PASS: TestX (0.00s)\n", "TestX does not declare what it needs"},
		{"--- SKIP: TestX (0.00s)\n", "TestX does not declare what it needs"},
		{"=== ATTR  TestX lab.planned \n--- SKIP: TestX (0.00s)\n", "TestX does not declare what it needs"},
		{"=== ATTR  TestX lab.need ipvs\n--- PASS: TestX (1.00s)\n", "TestX declares what it needs, but does not stop when it is only planned"},
		{"=== ATTR  TestX lab.need ipvs\n=== ATTR  TestX lab.planned \n--- FAIL: TestX (1.00s)\n", "TestX failed while it was planned"},
	} {
		_, err := ParsePlan("=== ATTR  TestGood lab.need \n=== ATTR  TestGood lab.planned \n--- SKIP: TestGood (0.00s)\n" + tt.output)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.output, err, tt.want)
		}
	}
}

func TestUndeclared(t *testing.T) {
	planned := Scenario{Needs: []string{"ipvs"}, Longer: true}
	for _, tt := range []struct {
		ran  Scenario
		want string
	}{
		{Scenario{Needs: []string{"ipvs"}, Longer: true}, ""},
		{Scenario{}, ""}, // it ended before its declarations
		{Scenario{Needs: []string{"ipvs", "mariadb"}, Exclusive: true, Long: true, Release: true, AnyKernel: true}, "lab.Need mariadb, lab.Exclusive, lab.Long, lab.Release, lab.AnyKernel"},
	} {
		if got := strings.Join(planned.Undeclared(tt.ran), ", "); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.ran, got, tt.want)
		}
	}
}
