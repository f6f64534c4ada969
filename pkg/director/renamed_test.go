package director

import (
	"strings"
	"testing"
	"time"
)

// TestProblemsKeepTheirStart: a problem of an instance, a virtual server or a real server is the same under another
// name: it began when it began, and neither ended nor began at the reload.
func TestProblemsKeepTheirStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := func(instance, service string) string {
			return electing + router(instance, "eth0", 51, vip) + virtualServers + strings.Replace(balancing("mysql", vip, "dr", one, two), "{name: mysql,", "{name: "+service+",", 1)
		}
		m.start(file("a", "mysql"))
		m.refuses(two, true)
		m.pass(10 * time.Second)
		since := map[string]time.Time{}
		for _, p := range m.Status().ProblemDetails {
			since[string(p.Code)] = p.Since
		}
		if len(since) == 0 {
			t.Fatal("no problem")
		}
		m.happened()
		m.reload(file("b", "db"))
		m.pass(10 * time.Second)
		for _, p := range m.Status().ProblemDetails {
			if !p.Since.Equal(since[string(p.Code)]) {
				t.Errorf("%s of %s since %s, want %s", p.Code, p.Subject, p.Since, since[string(p.Code)])
			}
			if p.Subject != "db" {
				t.Errorf("%s of %s", p.Code, p.Subject)
			}
		}
		m.expectEvents("the reload")
	})
}
