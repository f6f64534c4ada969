package config

// authType says whether adverts have a password.
func authType() kind[bool] {
	words := oneOf[string](vocabulary{
		what: "an authentication", words: []string{"none", "pass"},
		synonyms: map[string]string{"simple": "pass", "password": "pass", "text": "pass"},
	})
	k := scalar(words.text, *words.schema, func(v value) bool { return words.read(v) == "pass" })
	k.show = func(pass bool) string { return map[bool]string{false: "none", true: "pass"}[pass] }
	k.json = func(pass bool) any { return k.show(pass) }
	return k
}

// authFields come after protocol_version, on which they depend.
func authFields() []key[instance] {
	return []key[instance]{
		&field[instance, bool]{
			name: "auth_type", kind: authType(), in: func(i *instance) *bool { return &i.AuthPass },
			doc: "whether adverts carry a password, with version 2 only. `pass` is keepalived's PASS: the password is readable " +
				"in every advert, so it separates routers by accident, and keeps nobody out " +
				"([operations.md](operations.md#a-password-in-the-adverts))",
			perNode: mustAgree, reload: Live,
			words: []word{
				keepalived("authentication").write("`auth_type: pass` and `auth_password_file: /etc/lvs-director/vrrp.password`"),
			},
		},
		&field[instance, string]{
			name: "auth_password_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
			in: func(i *instance) *string { return &i.AuthPasswordFile },
			readAs: func(v value, i *instance) string {
				i.AuthPasswordFileAt = v.position()
				return v.absolutePath()
			},
			unset: "none", doc: "with `auth_type: pass`: the file that holds the password, 1 to 8 printable ASCII characters; read at the " +
				"start and at each reload",
			reload: Live,
			words: []word{{
				names: []string{"auth_pass"}, keepalived: true,
				message: "passwords are not allowed in the cluster file",
				hint:    "write it to a file with mode 0600 and set auth_password_file: /etc/lvs-director/vrrp.password",
				example: "`auth_password_file`, a file with the password",
			}},
		},
	}
}

// checkAuthentication requires that a password, and only a password, has a file, and version 2.
func (i *instance) checkAuthentication(o object) {
	file := o.locate("auth_password_file")
	kind, given := o.fields["auth_type"]
	switch {
	case i.AuthPass && i.ProtocolVersion == 3:
		o.locate("auth_type").fail("remove it, and let the packet filter accept VRRP from the directors only, or use protocol_version: 2",
			"VRRP version 3 has no authentication (RFC 9568, section 9)")
	case i.AuthPass && o.missing("auth_password_file"):
		o.locate("auth_type").fail("add auth_password_file: /etc/lvs-director/vrrp.password", "pass needs a password")
	case (!given || kind.node.Value == "none") && !o.missing("auth_password_file"):
		file.fail("add auth_type: pass, or remove it", "is not used: adverts have no password")
	}
	if dir := hiddenFromUnits(i.AuthPasswordFile); dir != "" {
		file.warn("put it into /etc/lvs-director", "the systemd unit hides %s from the daemon", dir)
	}
}
