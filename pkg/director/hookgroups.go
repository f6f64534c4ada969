package director

import (
	"slices"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// hookGroups are the states of the sync groups that have hooks. The members of a group report their changes one after the
// other: the group is in a state when the last one has. The zero value has no groups; it may be used by several goroutines.
type hookGroups struct {
	mu      sync.Mutex
	groups  []plan.Group
	members map[config.InstanceID]string // their states; "": INIT
	states  map[string]string            // of the groups
}

func (h *hookGroups) set(groups []plan.Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.groups = groups
}

// of returns the group of an instance, "" for none.
func (h *hookGroups) of(id config.InstanceID) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groupOf(id).Name
}

func (h *hookGroups) groupOf(id config.InstanceID) plan.Group {
	at := slices.IndexFunc(h.groups, func(g plan.Group) bool { return slices.Contains(g.Members, id) })
	if at < 0 {
		return plan.Group{}
	}
	return h.groups[at]
}

// moved notes the state of an instance, and calls tell, with the former state, if that of its group has changed.
func (h *hookGroups) moved(id config.InstanceID, state string, tell func(group, from string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members == nil {
		h.members, h.states = map[config.InstanceID]string{}, map[string]string{}
	}
	if h.members[id] = state; state == initState {
		delete(h.members, id)
	}
	g := h.groupOf(id)
	from := h.states[g.Name]
	if from == "" {
		from = initState
	}
	if g.Name == "" || from == state || slices.ContainsFunc(g.Members, func(m config.InstanceID) bool {
		other := h.members[m]
		return other != state && (other != "" || state != initState)
	}) {
		return
	}
	if h.states[g.Name] = state; state == initState {
		delete(h.states, g.Name)
	}
	tell(g.Name, from)
}

// initState is the state of an instance that does not run.
const initState = "INIT"
