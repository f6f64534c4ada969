package problem

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A problem that another one hides must not hide that a daemon is not ready.
func TestUnreadyIsNotHidden(t *testing.T) {
	r, count := Declared(), 0
	for _, d := range r.All() {
		if !d.Unready {
			continue
		}
		count++
		for _, by := range d.ExplainedBy {
			for _, f := range []Finding{{Code: by, Subject: "a"}, {Code: by}, {Code: by, Subject: "b", Related: []string{"a"}}} {
				got := r.Report([]Finding{f, {Code: d.Code, Subject: "a"}})
				if len(got) != 1 || got[0].Code != by || !got[0].Unready {
					t.Errorf("%s beside %+v: %+v", d.Code, f, got)
				}
			}
			if len(r.byCode[by].ExplainedBy) > 0 && !r.Unready(by) {
				t.Errorf("%s, which explains %s, may itself be explained", by, d.Code)
			}
		}
	}
	if count < 12 || r.Unready("no_such_code") || r.Unready(VirtualServerDown) {
		t.Errorf("%d codes", count)
	}
}

// Unready is that of the code, of the finding, of one with the same subject, or of one that is explained; not that of others.
func TestUnready(t *testing.T) {
	r := Of(Declaration{Code: "fault"}, Declaration{Code: "socket", Unready: true, ExplainedBy: []Code{"fault"}})
	for _, tt := range []struct {
		name  string
		found []Finding
		want  map[string]bool // by subject
	}{
		{"the code", []Finding{{Code: "socket", Subject: "a"}}, map[string]bool{"a": true}},
		{"not the code", []Finding{{Code: "fault", Subject: "a"}}, map[string]bool{"a": false}},
		{"the finding", []Finding{{Code: "fault", Subject: "a", Unready: true}, {Code: "fault", Subject: "b"}}, map[string]bool{"a": true, "b": false}},
		{"one of two", []Finding{{Code: "fault", Subject: "a"}, {Code: "fault", Subject: "a", Unready: true, Text: "2"}}, map[string]bool{"a": true}},
		{"the explained one", []Finding{{Code: "fault", Subject: "a"}, {Code: "fault", Subject: "b"}, {Code: "socket", Subject: "a"}}, map[string]bool{"a": true, "b": false}},
		{"a related one", []Finding{{Code: "fault", Subject: "a"}, {Code: "fault", Subject: "b"}, {Code: "socket", Subject: "eth0", Related: []string{"b"}}}, map[string]bool{"a": false, "b": true}},
		{"an explained one that is ready", []Finding{{Code: "fault", Subject: "a"}, {Code: "fault", Subject: "b"}}, map[string]bool{"a": false, "b": false}},
	} {
		got := map[string]bool{}
		for _, p := range r.Report(tt.found) {
			got[p.Subject] = p.Unready
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
