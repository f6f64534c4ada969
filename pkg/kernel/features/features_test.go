package features

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

const release = "6.1.0-test"

// files makes a root directory.
func files(all map[string]string) fs.FS {
	root := fstest.MapFS{}
	for name, text := range all {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func packed(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFind: every feature by what tells it, on kernels that have it, lack it, and do not say.
func TestFind(t *testing.T) {
	all := IPVS{Version: "1.2.1", Buckets: 4096, IPv6: kernel.Present, Stats64: kernel.Present, Tunnels: kernel.Present, SyncOptions: kernel.Present}
	old := IPVS{Version: "1.2.1", Buckets: 4096, IPv6: kernel.Absent, Stats64: kernel.Absent, Tunnels: kernel.Absent, SyncOptions: kernel.Absent}
	hidden := all
	hidden.Tunnels = kernel.Unknown
	const dep = "kernel/net/netfilter/ipvs/ip_vs_fo.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\nkernel/net/netfilter/nf_tables.ko:\n"
	for _, tt := range []struct {
		name    string
		ipvs    IPVS
		failure error
		files   map[string]string
		feature string
		has     kernel.Presence
		why     string
	}{
		{"asked", all, nil, nil, "ipvs", kernel.Present, "version 1.2.1, connection table of 4096 buckets"},
		{"no answer", IPVS{}, errors.New("no IPVS"), nil, "ipvs", kernel.Unknown, "no IPVS"},
		{"no answer", IPVS{}, errors.New("no IPVS"), nil, kernel.FeatureIPVS6, kernel.Unknown, "no IPVS"},
		{"no answer", IPVS{}, errors.New("no IPVS"), nil, kernel.FeatureTunnels, kernel.Unknown, "no IPVS"},
		{"one question failed", hidden, errors.New("no buffers"), nil, "ipvs", kernel.Present, "version 1.2.1, connection table of 4096 buckets"},
		{"one question failed", hidden, errors.New("no buffers"), nil, kernel.FeatureIPVS6, kernel.Present, "the kernel has been asked for a virtual server of IPv6"},
		{"one question failed", hidden, errors.New("no buffers"), nil, "ipvs_statistics_64_bit", kernel.Present, "a virtual server in the table shows it"},
		{"one question failed", hidden, errors.New("no buffers"), nil, kernel.FeatureTunnels, kernel.Unknown, "no buffers"},
		{"asked", old, nil, nil, kernel.FeatureIPVS6, kernel.Absent, "the kernel has been asked for a virtual server of IPv6"},
		{"shown", all, nil, nil, kernel.FeatureTunnels, kernel.Present, "a real server in the table shows it"},
		{"not shown", old, nil, nil, kernel.FeatureTunnels, kernel.Absent, "a real server in the table shows it"},
		{"nothing shows it", hidden, nil, nil, kernel.FeatureTunnels, kernel.Unknown, "only a real server in the table would show it"},
		{"shown", old, nil, nil, "ipvs_statistics_64_bit", kernel.Absent, "a virtual server in the table shows it"},
		{"shown", all, nil, nil, "ipvs_sync_options", kernel.Present, "a synchronization daemon shows it"},

		{"configured", all, nil, map[string]string{"boot/config-" + release: "CONFIG_IP_VS_PROTO_SCTP=y\n"}, kernel.FeatureSCTP, kernel.Present, "CONFIG_IP_VS_PROTO_SCTP=y in /boot/config-" + release},
		{"packed", all, nil, map[string]string{"proc/config.gz": packed(t, "CONFIG_IP_VS_PROTO_SCTP=y\n")}, kernel.FeatureSCTP, kernel.Present, "CONFIG_IP_VS_PROTO_SCTP=y in /proc/config.gz"},
		{"damaged", all, nil, map[string]string{"proc/config.gz": "x", "lib/modules/" + release + "/config": "CONFIG_NET=y\n# CONFIG_IP_VS_PROTO_SCTP is not set\n"}, kernel.FeatureSCTP, kernel.Absent, "/lib/modules/" + release + "/config does not set CONFIG_IP_VS_PROTO_SCTP"},
		{"empty", all, nil, map[string]string{"boot/config-" + release: "# nothing\n"}, kernel.FeatureSCTP, kernel.Unknown, "there is no configuration of this kernel in /proc/config.gz or /boot"},

		{"loaded", all, nil, map[string]string{"sys/module/ip_vs_fo/refcnt": "1"}, "scheduler_fo", kernel.Present, "the module ip_vs_fo is loaded or built in"},
		{"built in", all, nil, map[string]string{"lib/modules/" + release + "/modules.builtin": "kernel/net/netfilter/ipvs/ip_vs_fo.ko\n"}, "scheduler_fo", kernel.Present, "ip_vs_fo is built in"},
		{"loadable", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": dep}, "scheduler_fo", kernel.Present, "the module ip_vs_fo is loaded when it is needed"},
		{"missing", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": dep}, "scheduler_twos", kernel.Absent, "/lib/modules/" + release + " has no module ip_vs_twos"},
		{"missing in the lists", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": dep, "boot/config-" + release: "CONFIG_IP_VS_TWOS=y\n"}, "scheduler_twos", kernel.Present, "CONFIG_IP_VS_TWOS=y"},
		{"another module needs it", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": "a/b.ko: a/ip_vs_fo.ko\n"}, "scheduler_fo", kernel.Absent, "/lib/modules/" + release + " has no module ip_vs_fo"},
		{"no lists", all, nil, nil, "persistence_engine_sip", kernel.Unknown, "there is no list of modules in /lib/modules/" + release},
		{"nf_tables", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": dep, "boot/config-" + release: "CONFIG_NF_TABLES=m\n"}, "nf_tables_inet", kernel.Absent, "/boot/config-" + release + " does not set CONFIG_NF_TABLES_INET"},
		{"no nf_tables", all, nil, map[string]string{"lib/modules/" + release + "/modules.dep": ""}, "nf_tables_inet", kernel.Absent, "/lib/modules/" + release + " has no module nf_tables"},

		{"set", all, nil, map[string]string{"proc/sys/net/ipv4/vs/conn_max": "0"}, "ipvs_connection_limit", kernel.Present, "net.ipv4.vs.conn_max"},
		{"not there", all, nil, map[string]string{"proc/sys/net/ipv4/vs/conntrack": "0"}, "ipvs_connection_limit", kernel.Absent, "there is no net.ipv4.vs.conn_max"},
		{"not loaded", all, nil, nil, "ipvs_connection_limit", kernel.Unknown, "there is no /proc/sys/net/ipv4/vs"},
	} {
		got := Find(t.Context(), Host{Release: release, Root: files(tt.files), IPVS: func(context.Context) (IPVS, error) { return tt.ipvs, tt.failure }})
		want := kernel.Feature{Name: tt.feature, Has: tt.has, Why: tt.why}
		if f := got.Find(tt.feature); f != want || got.Release != release {
			t.Errorf("%s: %+v, want %+v", tt.name, f, want)
		}
		for _, f := range got.All {
			if f.Has != kernel.Present && f.Has != kernel.Absent && f.Has != kernel.Unknown || f.Why == "" {
				t.Errorf("%s: %+v says nothing", tt.name, f)
			}
		}
	}
}
