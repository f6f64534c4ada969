package config_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cluster.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("cluster.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate validates a file as an editor does; unreadable means that it is not YAML or cannot be represented as JSON.
func validate(t *testing.T, schema *jsonschema.Schema, data []byte) (err error, unreadable bool) {
	t.Helper()
	var contents any
	data = bytes.Replace(data, []byte("%YAML 1.2"), []byte("%YAML 1.1"), 1) // editors read both, the library only one
	if yaml.Unmarshal(data, &contents) != nil {
		return nil, true
	}
	text, err := json.Marshal(contents)
	if err != nil {
		return nil, true
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance), false
}

func TestSchemaAcceptsWhatIsValid(t *testing.T) {
	schema := compileSchema(t)
	for _, file := range slices.Concat(yamlFiles(t, "good"), yamlFiles(t, "warn")) {
		if err, unreadable := validate(t, schema, read(t, file)); err != nil || unreadable {
			t.Errorf("%s: unreadable %t: %v", file, unreadable, err)
		}
	}
}

// beyondSchemas are the bad files that the schema accepts, by what it cannot express.
var beyondSchemas = map[string][]string{
	"how long a duration is": {
		"check-interval-50ms", "instance-advert-interval-15ms", "instance-advert-interval-41s", "instance-advert-interval-5ms",
		"instance-advert-interval-v2-100ms", "instance-v2-sub-second", "instance-advert-interval-v2-fraction", "instance-lease-2s", "instance-lease-fraction",
		"instance-preempt-delay-2h", "sync-group-startup-delay", "persistence-timeout-1500ms", "persistence-timeout-fraction", "timeouts-tcp-fraction", "timeouts-tcp-too-long", "timeouts-zero",
	},
	"how values compare": {
		"check-timeout-over-interval", "threshold-lower-above", "check-timeout-over-default", "instance-lease-too-short", "instance-lease-too-short-for-backup", "real-server-port-dr",
		"real-server-port-tun", "real-server-forward-port", "real-server-address-of-virtual-server", "real-server-address-of-virtual-server-and-instance",
		"instance-virtual-address-of-director", "instance-virtual-address-of-real-server", "real-server-two-addresses", "instance-ipv6-version-2",
		"instance-two-families", "instance-virtual-address-ipv6-of-director",
	},
	"which keys depend on others": {"tunnel-dr", "tunnel-nat", "tunnel-gre-port", "tunnel-gre-remote", "tunnel-gue-without-port", "tunnel-ipip-checksum", "tunnel-ipip-port", "before-vip-no-database", "one-packet-tcp", "scheduler-flags-of-wlc", "threshold-lower-alone", "interop-lease-too-short", "interop-down-timer-adverts-too-long", "auth-version-3", "auth-no-file", "auth-file-without-type", "auth-file-with-none", "accept-mode-source", "strict-version-2", "strict-version-3"},
	"what per_node makes of other keys": {
		"unicast-peers-mixed", "unicast-peers-only-itself", "instance-no-preempt-255", "instance-no-preempt-255-per-node", "instance-virtual-router-id-twice-by-per-node",
	},
	"that a name or address is there once": {
		"director-address-twice", "director-address-twice-by-alias", "director-name-twice", "instance-name-twice",
		"instance-virtual-address-in-two", "instance-virtual-address-twice", "instance-virtual-address-ipv6-twice", "instance-virtual-router-id-twice",
		"real-server-address-twice", "real-server-name-twice", "routes-twice", "service-address-port-twice", "service-name-twice", "track-name-twice",
	},
	"which keys go together": {
		"unicast-min-ttl-multicast", "unicast-multicast-group", "unicast-multicast-source", "unicast-source-multicast",
	},
	"what an address is for": {"multicast-group-all-hosts", "multicast-group-family", "unicast-peers-vip"},
	"that a name is there at all": {
		"instance-per-node-unknown-director", "instance-track-misspelt", "instance-track-unknown", "instance-track-unknown-per-node", "take-over-record-unknown",
	},
	"what an address of IPv6 is": {"family-link-local", "family-mixed-dr", "family-addresses", "family-mixed-sync", "persistence-netmask-33", "persistence-netmask-64", "instance-virtual-address-ipv6-malformed", "track-link-local"},
	"what instances of a group have in common": {
		"sync-group-preempt", "sync-group-preempt-delay", "sync-group-preempt-delay-twice", "sync-group-priorities", "sync-group-two-groups",
		"sync-group-unknown-instance", "sync-group-track-of-a-member",
	},
	"whom BFD sessions are with": {"bfd-name-of-a-track", "bfd-ipv6-without-addresses", "bfd-peers-differ", "bfd-to-a-director", "bfd-twice", "bfd-unknown"},
	"what makes a port superfluous": {
		"group-address-and-addresses", "group-port-and-ports", "group-server-port-dr", "port-0-checks", "port-0-server-port", "service-port-0",
	},
	"what services a group is": {
		"group-address-twice", "group-overlaps", "group-port-twice", "group-ports-backwards", "group-ports-too-many", "group-ports-range",
		"group-real-server-is-address", "group-services-too-many", "port-0-duplicate-server",
	},
	"what a firewall mark replaces": {
		"fwmark-address", "fwmark-no-marking", "fwmark-marking-alone", "fwmark-twice", "fwmark-check-port", "fwmark-server-port-dr",
		"fwmark-server-port-persistence", "fwmark-families", "fwmark-nftables-alone", "fwmark-nftables-ports", "fwmark-packets-none",
		"fwmark-packets-taken", "fwmark-packets-families", "fwmark-packets-server-family", "fwmark-packets-many",
	},
	"what a pool can be": {
		"on-failure-contradicted", "on-failure-of-sh", "quorum-never-lost", "quorum-never-met-again", "quorum-never-met", "sorry-server-is-real-server",
		"sorry-server-is-text", "sorry-server-named-as-real-server", "sorry-server-of-mh", "sorry-server-port", "sorry-server-twice", "standby-all", "standby-none", "standby-too-many-needed", "standby-panic",
		"inhibit-of-mh", "weight-0-of-hashes",
	},
	"what a protocol can have": {"snat-clients-not-nat", "snat-clients-one-packet", "one-packet-sctp", "persistence-engine-tcp"},
	"what tracks are about":    {"track-watched", "ha-suspend-tracked", "track-cycle", "track-cycle-of-one", "track-gate-weight", "take-over-record-tcp"},
	"what a lost carrier is":   {"dont-track-primary-and-delay"},
	"how long the others wait": {"interface-down-delay-bfd", "interface-down-delay-too-long", "interface-down-delay-too-long-per-node", "interface-down-delay-one-advert"},
	"how the text was written": {
		"instance-priority-fraction", "instance-virtual-router-id-octal", "service-port-hex", "port-leading-zero", "text-two-documents", "text-utf16",
		"yaml-merge-key",
	},
}

func TestSchemaRefusesWhatItCan(t *testing.T) {
	schema := compileSchema(t)
	beyond := map[string]string{}
	for reason, files := range beyondSchemas {
		for _, file := range files {
			beyond[file] = reason
		}
	}
	refused := 0
	for _, file := range yamlFiles(t, "bad") {
		name := baseName(file)
		err, unreadable := validate(t, schema, read(t, file))
		reason, listed := beyond[name]
		delete(beyond, name)
		switch {
		case unreadable && listed:
			t.Errorf("%s is no YAML, and is listed for %q", name, reason)
		case unreadable:
		case err == nil && !listed:
			t.Errorf("%s is accepted", name)
		case err != nil && listed:
			t.Errorf("%s is refused, and is listed for %q: %v", name, reason, err)
		case err != nil:
			refused++
		}
	}
	if len(beyond) > 0 || refused < 120 {
		t.Errorf("%d files refused; listed and not there: %v", refused, beyond)
	}
}

// Parse rejects everything that the schema rejects: an editor never marks a valid file as wrong.
func TestSchemaRefusesNothingValid(t *testing.T) {
	schema := compileSchema(t)
	var words []string
	text := string(readFile(t, "testdata/good/full.yaml"))
	for _, file := range slices.Concat(yamlFiles(t, "good"), yamlFiles(t, "warn"), yamlFiles(t, "bad")) {
		words = append(words, strings.FieldsFunc(string(read(t, file)), separates)...)
	}
	words = append(words, "-0", "1us", "+1s", ".5s", "1.s", "-0s", "True", "''", "~", "0", "255.255.255.255", "127.0.0.1", "a b", "[]", "{}", "!x")
	mine := strings.FieldsFunc(text, separates)
	valid := 0
	rapid.Check(t, func(rt *rapid.T) {
		was, becomes := rapid.SampledFrom(mine).Draw(rt, "was"), rapid.SampledFrom(words).Draw(rt, "becomes")
		data := []byte(strings.Replace(text, was, becomes, rapid.SampledFrom([]int{1, 2, -1}).Draw(rt, "times")))
		if c, _ := config.Parse("f", data); c == nil {
			return
		}
		valid++
		if err, unreadable := validate(t, schema, data); err != nil || unreadable {
			rt.Errorf("%s for %s: unreadable %t: %v", becomes, was, unreadable, err)
		}
	})
	t.Logf("%d valid files", valid)
}

func separates(r rune) bool { return strings.ContainsRune(" ,{}[]\n", r) }
