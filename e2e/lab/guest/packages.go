package guest

import "slices"

// Packages returns the names of the packages that the lab needs, without their dependencies.
func Packages() []string {
	return slices.Concat(common(), []string{
		"user-mode-linux",
		"tcc",                                         // compiles preload
		"nginx-light", "redis-server", "dnsmasq-base", // are checked by the scenarios of health checks
	})
}

// common are the packages that the guests of both kernels have.
func common() []string {
	return []string{
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
	}
}

// layout is the version of how a tree is built from the packages; after a change every cache is fetched again.
const layout = "4"
