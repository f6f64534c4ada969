package hook

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Message is what a hook is told about a change. As JSON it is the body of a webhook: fields may be added, but are never
// renamed.
type Message struct {
	Node     string    `json:"node"`
	Type     string    `json:"type"` // INSTANCE, GROUP, REAL_SERVER, VIRTUAL_SERVER
	Name     string    `json:"name"`
	Event    Moment    `json:"event"`
	State    string    `json:"state"` // INIT, BACKUP, MASTER, FAULT; UP, DOWN
	Previous string    `json:"previous_state"`
	Priority uint8     `json:"priority"` // effective, of an INSTANCE or GROUP
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
	// These are of an INSTANCE.
	VirtualRouterID  uint8    `json:"virtual_router_id,omitempty"`
	Interface        string   `json:"interface,omitempty"`
	VirtualAddresses []string `json:"virtual_addresses,omitempty"` // with prefix lengths
	// The rest is of a REAL_SERVER or VIRTUAL_SERVER, of several addresses and ports the first.
	VirtualServer string `json:"virtual_server,omitempty"`
	RealServer    string `json:"real_server,omitempty"` // of a REAL_SERVER
	Address       string `json:"address,omitempty"`     // its own; "" of a virtual server by mark without one
	Port          uint16 `json:"port,omitempty"`        // 0: every port
}

// Env returns the variables of a program: "LVS_NAME=mysql". No value has a NUL character or a line break.
func (m Message) Env() []string {
	var env []string
	for _, v := range []struct{ name, value string }{
		{"NODE", m.Node},
		{"TYPE", m.Type},
		{"NAME", m.Name},
		{"EVENT", string(m.Event)},
		{"STATE", m.State},
		{"PREVIOUS_STATE", m.Previous},
		{"PRIORITY", strconv.Itoa(int(m.Priority))},
		{"REASON", m.Reason},
		{"TIME", m.Time.UTC().Format(time.RFC3339Nano)},
		{"VIRTUAL_ROUTER_ID", strconv.Itoa(int(m.VirtualRouterID))},
		{"INTERFACE", m.Interface},
		{"VIRTUAL_ADDRESSES", strings.Join(m.VirtualAddresses, " ")},
		{"VIRTUAL_SERVER", m.VirtualServer},
		{"REAL_SERVER", m.RealServer},
		{"ADDRESS", m.Address},
		{"PORT", strconv.Itoa(int(m.Port))},
	} {
		env = append(env, "LVS_"+v.name+"="+oneLine(v.value))
	}
	return env
}

// Arguments are those of keepalived's notify scripts: type, name, state, priority. A stopped instance is in the state
// STOP there.
func (m Message) Arguments() []string {
	state := m.State
	if state == "INIT" {
		state = "STOP"
	}
	return []string{m.Type, m.Name, state, strconv.Itoa(int(m.Priority))}
}

// Subject is one line: "lvs-master: instance mysql is MASTER".
func (m Message) Subject() string {
	if m.Type == "VIRTUAL_SERVER" {
		return oneLine(fmt.Sprintf("%s: the quorum of virtual server %s is %s", m.Node, m.Name, map[string]string{Up: "met", Down: "lost"}[m.State]))
	}
	what := map[string]string{"GROUP": "sync group", "REAL_SERVER": "real server"}[m.Type]
	if what == "" {
		what = "instance"
	}
	return oneLine(fmt.Sprintf("%s: %s %s is %s", m.Node, what, m.Name, m.State) + map[Moment]string{
		Stop: " (stopped)", PreStop: " (stopping)", Priority: " (priority " + strconv.Itoa(int(m.Priority)) + ")", LowerAdvert: " (advert of lower priority)",
	}[m.Event])
}

// Text is the text of a mail.
func (m Message) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\nbefore: %s\n", m.Subject(), oneLine(m.Reason), m.Previous)
	if m.VirtualServer == "" {
		fmt.Fprintf(&b, "priority: %d\n", m.Priority)
	} else {
		fmt.Fprintf(&b, "address: %s\nport: %d\n", m.Address, m.Port)
	}
	fmt.Fprintf(&b, "time: %s\n", m.Time.Format(time.RFC3339))
	if m.Type == "INSTANCE" {
		fmt.Fprintf(&b, "interface: %s\nvirtual router ID: %d\nvirtual addresses: %s\n", m.Interface, m.VirtualRouterID, strings.Join(m.VirtualAddresses, " "))
	}
	return b.String()
}

// oneLine replaces what would end a line or a variable.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
