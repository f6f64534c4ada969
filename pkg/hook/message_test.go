package hook

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var message = Message{
	Node: "lvs-master", Type: "INSTANCE", Name: "mysql", Event: Master, State: "MASTER", Previous: "BACKUP", Priority: 150,
	Reason: "MASTER: no advert\nLVS_STATE=FAULT", Time: time.Date(2026, 11, 29, 12, 0, 0, 5e6, time.UTC), VirtualRouterID: 51, Interface: "eth0",
	VirtualAddresses: []string{"10.77.0.100/32", "10.77.0.101/32"},
}

func TestMessage(t *testing.T) {
	if diff := cmp.Diff([]string{
		"LVS_NODE=lvs-master", "LVS_TYPE=INSTANCE", "LVS_NAME=mysql", "LVS_EVENT=master", "LVS_STATE=MASTER", "LVS_PREVIOUS_STATE=BACKUP", "LVS_PRIORITY=150",
		"LVS_REASON=MASTER: no advert LVS_STATE=FAULT", "LVS_TIME=2026-11-29T12:00:00.005Z", "LVS_VIRTUAL_ROUTER_ID=51", "LVS_INTERFACE=eth0",
		"LVS_VIRTUAL_ADDRESSES=10.77.0.100/32 10.77.0.101/32", "LVS_VIRTUAL_SERVER=", "LVS_REAL_SERVER=", "LVS_ADDRESS=", "LVS_PORT=0",
	}, message.Env()); diff != "" {
		t.Error(diff)
	}
	if got := strings.Join(message.Arguments(), " "); got != "INSTANCE mysql MASTER 150" {
		t.Error(got)
	}
	stopped := message
	stopped.Event, stopped.State = Stop, "INIT"
	if got := strings.Join(stopped.Arguments(), " "); got != "INSTANCE mysql STOP 150" {
		t.Error(got)
	}
	if got := stopped.Subject(); got != "lvs-master: instance mysql is INIT (stopped)" {
		t.Error(got)
	}
	b, err := json.Marshal(message)
	const want = `{"node":"lvs-master","type":"INSTANCE","name":"mysql","event":"master","state":"MASTER","previous_state":"BACKUP","priority":150,` +
		`"reason":"MASTER: no advert\nLVS_STATE=FAULT","time":"2026-11-29T12:00:00.005Z","virtual_router_id":51,"interface":"eth0",` +
		`"virtual_addresses":["10.77.0.100/32","10.77.0.101/32"]}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	if got := message.Text(); !strings.HasPrefix(got, "lvs-master: instance mysql is MASTER\n\nMASTER: no advert LVS_STATE=FAULT\n") {
		t.Error(got)
	}
}

func TestMessageOfAPool(t *testing.T) {
	m := Message{
		Node: "lvs-master", Type: "REAL_SERVER", Name: "mysql/mysql1", Event: ServerDown, State: Down, Previous: Unknown, Reason: "down: tcp: refused",
		Time: message.Time, VirtualServer: "mysql", RealServer: "mysql1", Address: "10.77.0.11", Port: 3306,
	}
	if got, want := m.Text(), "lvs-master: real server mysql/mysql1 is DOWN\n\ndown: tcp: refused\n\nbefore: UNKNOWN\naddress: 10.77.0.11\nport: 3306\ntime: 2026-11-29T12:00:00Z\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, want := range []string{"LVS_TYPE=REAL_SERVER", "LVS_EVENT=server_down", "LVS_PRIORITY=0", "LVS_VIRTUAL_SERVER=mysql", "LVS_REAL_SERVER=mysql1", "LVS_ADDRESS=10.77.0.11", "LVS_PORT=3306"} {
		if env := m.Env(); !slices.Contains(env, want) {
			t.Errorf("no %s: %q", want, env)
		}
	}
	m.Type, m.Name, m.State = "VIRTUAL_SERVER", "mysql", Down
	if got := m.Subject(); got != "lvs-master: the quorum of virtual server mysql is lost" {
		t.Error(got)
	}
	b, err := json.Marshal(m)
	if want := `"virtual_server":"mysql","real_server":"mysql1","address":"10.77.0.11","port":3306}`; err != nil || !strings.HasSuffix(string(b), want) {
		t.Errorf("%s, %v", b, err)
	}
}
