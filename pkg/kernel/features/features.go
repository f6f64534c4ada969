package features

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// IPVS is what the kernel's IPVS says of itself.
type IPVS struct {
	Version                             string
	Buckets                             int // of its connection table, at most
	IPv6, Stats64, Tunnels, SyncOptions kernel.Presence
}

// Host is what is asked.
type Host struct {
	Release string                              // of the kernel, as uname -r prints it
	Root    fs.FS                               // the root directory
	IPVS    func(context.Context) (IPVS, error) // with an error, what it returns besides is true if it has a Version
}

// Schedulers are those of the kernel, in the order in which they are shown.
func schedulers() []string {
	return []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}
}

// settings are features that show by a file under /proc/sys/net/ipv4/vs.
func settings() [][2]string {
	return [][2]string{
		{kernel.FeatureTracked, "conntrack"},
		{"ipvs_sloppy_tcp", "sloppy_tcp"},
		{"ipvs_sync_ports", "sync_ports"},
		{"ipvs_connection_limit", "conn_max"},
		{"ipvs_resizable_tables", "conn_lfactor"},
		{"ipvs_estimation_cpus", "est_cpulist"},
	}
}

// Release returns the release of this kernel, as uname -r prints it.
func Release() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // it cannot fail: the pointer is valid
	return unix.ByteSliceToString(name.Release[:])
}

// Find asks for all features. ctx limits the questions to IPVS, but nothing limits the reading of files: see Asker.
func Find(ctx context.Context, h Host) kernel.Features {
	k := kernel.Features{Release: h.Release}
	add := func(name string, has kernel.Presence, why string) {
		k.All = append(k.All, kernel.Feature{Name: name, Has: has, Why: why})
	}
	configured, listed := h.configuration(), h.modules()
	asked, err := h.IPVS(ctx)
	if asked.Version != "" {
		add("ipvs", kernel.Present, fmt.Sprintf("version %s, connection table of %d buckets", asked.Version, asked.Buckets))
	} else {
		asked = IPVS{IPv6: kernel.Unknown, Stats64: kernel.Unknown, Tunnels: kernel.Unknown, SyncOptions: kernel.Unknown}
		add("ipvs", kernel.Unknown, cmp.Or(reason(err), "IPVS does not tell its version"))
	}
	k.Incomplete = err != nil
	if asked.IPv6 == kernel.Unknown {
		add(kernel.FeatureIPVS6, asked.IPv6, cmp.Or(reason(err), "the kernel has not been asked"))
	} else {
		add(kernel.FeatureIPVS6, asked.IPv6, "the kernel has been asked for a virtual server of IPv6")
	}
	sctp, why := configured.says("IP_VS_PROTO_SCTP")
	add(kernel.FeatureSCTP, sctp, why)
	shown := func(name string, has kernel.Presence, by string) {
		if has == kernel.Unknown {
			add(name, has, cmp.Or(reason(err), "only "+by+" would show it"))
			return
		}
		add(name, has, by+" shows it")
	}
	shown(kernel.FeatureTunnels, asked.Tunnels, "a real server in the table")
	shown("ipvs_statistics_64_bit", asked.Stats64, "a virtual server in the table")
	shown("ipvs_sync_options", asked.SyncOptions, "a synchronization daemon")
	for _, s := range settings() {
		has, why := h.setting(s[1])
		add(s[0], has, why)
	}
	for _, s := range schedulers() {
		has, why := h.module(listed, "ip_vs_"+s, configured.option("IP_VS_"+strings.ToUpper(s)))
		add("scheduler_"+s, has, why)
	}
	has, why := h.module(listed, "ip_vs_pe_sip", configured.option("IP_VS_PE_SIP"))
	add("persistence_engine_sip", has, why)
	has, why = h.module(listed, "nf_tables", configured.option("NF_TABLES"))
	add("nf_tables", has, why)
	if has != kernel.Absent {
		has, why = configured.says("NF_TABLES_INET")
	}
	add("nf_tables_inet", has, why)
	has, why = configured.says("INET_DIAG_DESTROY")
	add("sock_destroy", has, why)
	return k
}

// reason is the text of an error in one line; "" without one.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// setting says whether IPVS has a sysctl. Without the directory IPVS is not loaded.
func (h Host) setting(name string) (kernel.Presence, string) {
	const dir = "proc/sys/net/ipv4/vs"
	if _, err := fs.Stat(h.Root, dir); err != nil {
		return kernel.Unknown, "there is no /" + dir
	}
	if _, err := fs.Stat(h.Root, dir+"/"+name); err != nil {
		return kernel.Absent, "there is no net.ipv4.vs." + name
	}
	return kernel.Present, "net.ipv4.vs." + name
}
