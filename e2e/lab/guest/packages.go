package guest

// Packages returns the names of the packages the lab needs, without what they
// depend on.
func Packages() []string {
	return []string{
		"user-mode-linux",
		"kmod",
		"iproute2",
		"iputils-ping",
		"ipvsadm",
		"iptables",
		"keepalived",
		"mariadb-server-core",
		"mariadb-client",
		"tcpdump",
		"procps",
		"systemd",
		"tcc", // compiles preload
	}
}

// layout is the version of how a tree is made from the packages; changing it
// makes every cache fetch anew.
const layout = "4"
