package guest

// Packages returns the names of the packages that the lab needs, without their dependencies.
func Packages() []string {
	return []string{
		"user-mode-linux",
		"kmod",
		"iproute2",
		"iputils-ping",
		"ipvsadm",
		"iptables",
		"keepalived",
		"frr", // for bfdd
		"mariadb-server-core",
		"mariadb-client",
		"tcpdump",
		"procps",
		"systemd",
		"tcc", // compiles preload
	}
}

// layout is the version of how a tree is built from the packages; after a change every cache is fetched again.
const layout = "4"
