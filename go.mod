module github.com/lvs-director/lvs-director

go 1.26.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0 // READY=1 and STOPPING=1 to systemd
	github.com/go-sql-driver/mysql v1.10.1 // the mysql check
	github.com/google/go-cmp v0.7.0 // differences in tests
	github.com/google/nftables v0.3.0 // the rules of accept_mode: false
	github.com/google/renameio/v2 v2.0.2 // the state file is replaced whole or not at all
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // deadlines for google/nftables
	github.com/mdlayher/packet v1.2.0 // gratuitous ARP
	github.com/moby/ipvs v1.1.0 // values and constants of IPVS; see pkg/kernel/ipvs for why not its transport
	github.com/prometheus/client_golang v1.25.0 // in tests: the linter of metrics
	github.com/prometheus/client_model v0.6.3 // in tests: with common
	github.com/prometheus/common v0.72.0 // in tests: Prometheus' parser of metrics
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // in tests: what lvsctl schema prints
	github.com/spf13/cobra v1.10.2 // command lines
	github.com/spf13/pflag v1.0.9 // flags of cobra's commands
	github.com/vishvananda/netlink v1.3.1 // addresses, links, routes, and the transport under pkg/kernel/ipvs
	github.com/vishvananda/netns v0.0.5 // network namespaces in tests
	go.uber.org/goleak v1.3.0 // tests leave no goroutine
	golang.org/x/crypto v0.58.0 // bcrypt: passwords for metrics
	golang.org/x/sync v0.24.0 // errgroup around the loops of a daemon
	golang.org/x/sys v0.49.0 // raw sockets, capabilities
	gopkg.in/yaml.v3 v3.0.1 // the cluster file, with positions
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6
	github.com/emersion/go-smtp v0.25.1
	github.com/wneessen/go-mail v0.8.1
)

require (
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mdlayher/socket v0.7.0 // indirect
	github.com/sirupsen/logrus v1.9.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/net v0.62.0
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	mvdan.cc/gofumpt v0.12.0 // indirect
)

tool (
	honnef.co/go/tools/cmd/staticcheck
	mvdan.cc/gofumpt
)
