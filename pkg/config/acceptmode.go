package config

// ownerPriority is the priority of the address owner.
const ownerPriority = 255

// Accepts reports whether the virtual addresses accept packets that are not for virtual servers, as those of the address
// owner always do (Accept_Mode, RFC 9568 section 6.1). i is resolved for a director.
func (i Instance) Accepts() bool { return !i.NoAccept || i.Priority == ownerPriority }

func acceptModeField() key[instance] {
	k := flag(true)
	read := k.read
	k.read = func(v value) bool { return !read(v) }
	k.show = func(no bool) string { return map[bool]string{false: "true", true: "false"}[no] }
	k.json = func(no bool) any { return !no }
	return &field[instance, bool]{
		name: "accept_mode", kind: k, in: func(i *instance) *bool { return &i.NoAccept },
		unset: "`true`; with `strict` `false`", defOf: func(i *instance) bool { return i.Strict },
		doc: "whether the virtual and excluded addresses accept packets that are not for a virtual server, such as ping and ssh, as " +
			"the address owner (priority 255) always does. `false` needs nf_tables ([operations.md](operations.md#accept_mode))",
		reload: Live,
		words: []word{
			keepalived("no_accept").write("`accept_mode: false`"),
			keepalived("accept").write("`accept_mode: true`"),
		},
	}
}

// checkAcceptMode rejects routes whose packets could not be answered.
func (i *instance) checkAcceptMode(o object) {
	if !i.NoAccept {
		return
	}
	for _, r := range i.Routes {
		if !r.Source.IsValid() {
			continue
		}
		for _, p := range i.Held() {
			if p.Addr() == r.Source {
				o.locate("accept_mode").fail("remove source from the route, or write accept_mode: true",
					"the route to %s makes %s the source of this host's own packets, and the answers to them would be dropped", r.Destination, r.Source)
				return
			}
		}
	}
}
