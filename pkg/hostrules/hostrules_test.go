package hostrules_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hostrules"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func parse(t *testing.T, path string) *config.Config {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Parse(path, data)
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

// TestGolden: the rules of every machine of the examples, and of cluster files with what those lack, for nft and iptables. A new file
// needs only -update, and a look at what it wrote.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("../../docs/examples/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatal(err, files)
	}
	own, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(own) == 0 {
		t.Fatal(err, own)
	}
	for _, name := range strings.Fields("bfd connection-sync check-kinds fwmark-nftables ipv6 ipv6-services link-local-directors sctp tunnels unicast") {
		own = append(own, "../config/testdata/good/"+name+".yaml")
	}
	for _, path := range slices.Concat(files, own) {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, path)
			o := hostrules.Options{}
			if strings.Contains(name, "clients") {
				o.Clients = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("10.30.0.1/32")}
			}
			text := ""
			for _, node := range machines(cfg) {
				rules, err := hostrules.Of(cfg, []string{node}, o)
				if err != nil {
					t.Fatal(err)
				}
				text += hostrules.NFT([]string{node}, rules) + hostrules.Save([]string{node}, rules, kernel.IPv4)
				if v6 := hostrules.Save([]string{node}, rules, kernel.IPv6); strings.Contains(v6, "-A ") {
					text += v6
				}
			}
			golden := filepath.Join("testdata", name+".want")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("-want +got (-update rewrites it)\n%s", diff)
			}
		})
	}
}

// machines are the names of all directors and real servers.
func machines(cfg *config.Config) []string {
	var all []string
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, d := range cfg.Directors {
		add(d.Name)
	}
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			add(r.Name)
		}
	}
	return all
}

// TestNetworks: an interface of the node without the network of the directors' addresses does not get adverts from them.
func TestNetworks(t *testing.T) {
	cfg := parse(t, "../../docs/examples/mysql-lvs-dr.yaml")
	on := func(network string) hostrules.Options {
		return hostrules.Options{Networks: func(link string) []netip.Prefix {
			if link != "eth0" {
				t.Errorf("asked for %s", link)
			}
			return []netip.Prefix{netip.MustParsePrefix(network)}
		}}
	}
	for network, want := range map[string]string{
		"10.77.0.0/24":   "\t\tip saddr 10.77.0.3 meta l4proto 112 accept\n",
		"192.168.1.0/24": "\t\tiifname \"eth0\" meta nfproto ipv4 meta l4proto 112 ip ttl 255 accept\n",
	} {
		rules, err := hostrules.Of(cfg, []string{"lvs-master"}, on(network))
		if text := hostrules.NFT(nil, rules); err != nil || !strings.Contains(text, want) || strings.Count(text, " 112 ") != 2 {
			t.Errorf("%s: %v, without %q or with more:\n%s", network, err, want, text)
		}
	}
}

func TestUnknownNode(t *testing.T) {
	_, err := hostrules.Of(parse(t, "../../docs/examples/mysql-lvs-dr.yaml"), []string{"nobody"}, hostrules.Options{})
	if err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("%v", err)
	}
}
