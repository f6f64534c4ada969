package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/hook"
)

// TestFailuresOfVirtualServers: the hooks of a few virtual servers that fail alike are problems of their own, those of many are one.
func TestFailuresOfVirtualServers(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		subjects := map[ID]Subject{}
		var ids []ID
		for i := range foldAbove + 1 {
			name := fmt.Sprintf("v%02d", i)
			subjects[ID(name)] = pool(VirtualServer, name, hookFor("/x", everyQuorum...))
			ids = append(ids, ID(name))
		}
		n.Set(subjects)
		r.set(func() { r.fails = 99 })
		tellAll(n, ids[:foldAbove], hook.Up, hook.Down)
		time.Sleep(time.Minute)
		names := map[string]bool{}
		for _, f := range n.Failures() {
			names[f.Name] = true
		}
		if len(names) != foldAbove || !names["v00"] {
			t.Errorf("%v", names)
		}
		n.Tell(ids[foldAbove], moved(hook.Up, hook.Down))
		time.Sleep(time.Minute)
		if f := n.Failures(); len(f) != 1 || f[0].Name != "virtual servers" || f[0].Subject != "virtual server v00 and 10 others" {
			t.Errorf("%+v", f)
		}
		n.Set(map[ID]Subject{"v00": pool(VirtualServer, "v00", hookFor("/y", everyQuorum...)), "v01": subjects["v01"]})
		if f := n.Failures(); len(f) != 1 || f[0].Name != "v01" {
			t.Errorf("of those that a reload has left: %+v", f)
		}
	})
}
