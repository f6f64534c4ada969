package ctl

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestPrintExplanation(t *testing.T) {
	now := time.Unix(1000, 0)
	weight := 7
	var b strings.Builder
	earlier, later := now.Add(-5*time.Second), now.Add(7*time.Second)
	printExplanation(&b, "web/web2", status.Explanation{
		RealServer: status.RealServer{State: "down", Reason: "down: it", ConfiguredWeight: 3}, Needed: 1,
		Checks: []status.Check{{
			Type: "http", Target: "10.0.0.2:80", Interval: 1500, Timeout: 200, Rule: "down: R", Total: 9, Good: 5, Inconclusive: 1,
			Last:     &status.CheckResult{At: now.Add(-time.Second), Code: "status", Cause: "http: 503"},
			Failures: []status.CheckResult{{At: now.Add(-time.Minute), Code: "timeout", Cause: "http: none"}, {At: now.Add(-time.Second), Code: "status", Cause: "http: 503"}},
		}, {Type: "file", Interval: 1000, Timeout: 1000, Rule: "up: R", Last: &status.CheckResult{At: now, Code: "ok", Cause: "file: 7", Weight: &weight}}, {
			Type: "ping", Target: "10.0.0.2",
		}, {
			Type: "mysql", Target: "10.0.0.2:3306", Interval: 1000, Timeout: 1000, Rule: "up: R", Kept: &status.KeptConnection{Open: true, Since: &earlier},
		}, {
			Type: "mysql", Target: "10.0.0.2:3307", Interval: 1000, Timeout: 1000, Rule: "up: R",
			Kept: &status.KeptConnection{Again: &later, Why: "the server takes one", Ended: &status.CheckResult{At: earlier, Code: "reset", Cause: "mysql: closed"}},
		}, {
			Type: "mysql", Target: "10.0.0.2:3308", Interval: 1000, Timeout: 1000, Rule: "up: R", Kept: &status.KeptConnection{},
		}},
	}, now)
	const want = `web/web2 is down, with weight 0 of 3 in the table
  down: it
  1 of these 6 checks must pass:

http of 10.0.0.2:80, every 1.5s, timeout 200ms
  down: R
  9 results: 5 good, 1 inconclusive, 3 others
  last      1s ago  http: 503 [status]
  not good  1s ago  http: 503 [status]
  not good  1m ago  http: none [timeout]

file, every 1s, timeout 1s
  up: R
  0 results: 0 good, 0 inconclusive, 0 others
  last      0s ago  file: 7 (weight 7)

ping of 10.0.0.2, every 0s, timeout 0s
  
  0 results: 0 good, 0 inconclusive, 0 others
  no result yet

mysql of 10.0.0.2:3306, every 1s, timeout 1s
  up: R
  0 results: 0 good, 0 inconclusive, 0 others
  a connection has been kept for 5s; when the server ends it, the check is made at once
  no result yet

mysql of 10.0.0.2:3307, every 1s, timeout 1s
  up: R
  0 results: 0 good, 0 inconclusive, 0 others
  no connection is kept, and none is opened for 7s more
  why none is kept: the server takes one
  ended     5s ago  mysql: closed [reset]
  no result yet

mysql of 10.0.0.2:3308, every 1s, timeout 1s
  up: R
  0 results: 0 good, 0 inconclusive, 0 others
  no connection is kept; one is opened after the next good check
  no result yet
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

func TestPrintProbes(t *testing.T) {
	var b strings.Builder
	printProbes(&b, []status.Probe{{Type: "http", Target: "10.0.0.2:80", Result: status.CheckResult{Class: "bad", Code: "status", Cause: "http: 503"}, Trace: []string{"a", "b"}}}, true)
	if want := "http of 10.0.0.2:80\n  a\n  b\nbad: http: 503 [status]\n"; b.String() != want {
		t.Errorf("%s", b.String())
	}
}
