# Every target works as an ordinary user. The kernel that the scenarios need comes from Debian packages in a cache directory
# (LVS_LAB_CACHE, default ~/.cache/lvs-director/lab); nothing is installed on the machine.
SHELL := /bin/bash
GO    ?= go
BIN   := bin
LAB   := $(CURDIR)/$(BIN)/labrun
# Run in a guest even if the machine's own kernel has IPVS, because scenarios remove kernel modules and freeze disks.
export LVS_LAB ?= guest
# Which scenarios to run, and in which form: RUN=TestSeed001, LONG=1.
RUN   ?=
LONG  ?=
# How many times as fast the guest's CPU appears to the guest. The CPU of user-mode-linux is slow (a system call takes
# 50-500 us), and this machine may itself get only part of its CPUs.
SPEED ?= 2
# How many times as fast guest time passes while the guest sleeps.
HURRY ?= 50
# V=1 also prints the log of tests that pass.
V     ?=

# One way to compile, so that vet, staticcheck, the programs and the test binaries share what is compiled; only the race
# detector needs its own. The directory is no part of it either: another checkout uses the same cache.
export GOFLAGS     := -trimpath $(GOFLAGS)
export CGO_ENABLED := 0

PROGRAMS := lvs-director lvs-realserver lvsctl
VERSION  ?=
LDFLAGS  := -s -w $(if $(VERSION),-X github.com/lvs-director/lvs-director/pkg/version.number=$(VERSION))

# If network namespaces can be created here, tests that need them must not be skipped.
NETNS := $(shell unshare --net true 2>/dev/null && echo netns)

.PHONY: all help build packages lab-packages packages-check packages-lint sbom vulncheck lab stock binaries lint unit runner daily kernel e2e test soak release-check properties search fuzz demo demo-shell bench-connections bench-failover bench-flapping bench-handover bench-memory bench-table bench-thousand bench-rest bench-instances upgrade clean

all: build

help: ## print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## the three programs, static, in bin/
	@mkdir -p $(BIN)
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ $(addprefix ./cmd/,$(PROGRAMS))

# Packages: of VERSION, or else named after the commit. Everything in them that has a time has that of the commit.
ARCHES ?= amd64 arm64
COMMIT  = $(shell TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=0.0.0~git%cd.%h 2>/dev/null)
packages: ## deb and rpm for ARCHES, in bin/packages
	@rm -f $(BIN)/packages/*.deb $(BIN)/packages/*.rpm
	deploy/packages/build $(BIN)/packages $(or $(VERSION),$(COMMIT),0.0.0) $(ARCHES)

# Two versions for the scenario of the packages, which installs one and upgrades to the other.
lab-packages:
	@for v in 0.0.1 0.0.2; do KINDS=deb deploy/packages/build $(BIN)/packages/lab $$v $$($(GO) env GOARCH) >/dev/null || exit 1; done

# The same packages come of another directory with another umask.
packages-check: packages
	$(GO) vet -C deploy/packages ./...
	@rm -rf $(BIN)/again && git worktree prune && git worktree add --quiet --detach $(BIN)/again >/dev/null && trap 'git worktree remove --force $(BIN)/again' EXIT && \
	(umask 077 && $(BIN)/again/deploy/packages/build $(BIN)/packages $(or $(VERSION),$(COMMIT),0.0.0) $(ARCHES) >/dev/null) && \
	for p in $(BIN)/packages/*.deb $(BIN)/packages/*.rpm; do cmp $$p $(BIN)/again/$$p || exit 1; done && echo "the packages are reproducible"

packages-lint: packages ## lintian, which must be installed
	lintian --allow-root --fail-on error,warning $(BIN)/packages/*.deb

sbom: build ## what is linked into the programs, in bin/sbom.json (CycloneDX)
	$(GO) run -C deploy/packages ./sbom $(addprefix $(CURDIR)/$(BIN)/,$(PROGRAMS)) >$(BIN)/sbom.json

# Needs the network, for the tool and the list of vulnerabilities: no part of any other target.
vulncheck: ## known vulnerabilities in what is linked
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./cmd/...

lab: ## labrun, which boots a kernel with IPVS, and the packages that it needs
	@mkdir -p $(BIN)
	$(GO) build -o $(LAB) ./e2e/cmd/labrun
	$(LAB) -fetch

lint: ## gofumpt, vet, staticcheck
	@unformatted=$$($(GO) tool gofumpt -l cmd internal pkg realserver deploy docs e2e) && test -z "$$unformatted" || { echo "not formatted (go tool gofumpt -w): $$unformatted"; exit 1; }
	$(GO) vet ./... ./e2e/cmd/labrun/testdata/fixture
	$(GO) tool staticcheck ./...

# Without the scenarios and the tests of the lab, which run in a guest or boot guests.
unit: ## unit tests with the race detector; as root also those that need network namespaces
	CGO_ENABLED=1 LVS_REQUIRE=$(NETNS) $(GO) test -race $$($(GO) list ./... | grep -v -e '/e2e$$' -e '/e2e/lab' -e '/e2e/cmd/labrun')

runner: lab stock ## the tests of labrun and its guests; LONG=1 for all of them
	LVS_REQUIRE=guest $(GO) test $(if $(LONG),,-short) ./e2e/lab/guest ./e2e/cmd/labrun
	$(if $(NETNS),$(GO) test -run '^TestKilledTestLeavesNothing$$' ./e2e/lab)

# With Go's modules of the packages, so that nothing fetches later.
stock: lab
	@$(LAB) -kernel debian -fetch
	@$(GO) -C deploy/packages mod download

# The test binaries for guests, built without the race detector, which does not work there.
TESTS := $(BIN)/tests
binaries: build lab stock
	@rm -rf $(TESTS) && mkdir -p $(TESTS)
	$(GO) test -c -o $(TESTS)/ ./e2e/ ./pkg/kernel/... ./pkg/probe/ ./realserver/... $$($(GO) list ./e2e/lab/... | grep -v /guest)

# The arguments of labrun test for packages: BINARY=DIRECTORY.
in_guest = $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' $(1) | grep -v /e2e/lab/guest | sed -E 's|.*/([^/ ]+) (.*)|$(TESTS)/\1.test=\2|')
KERNEL     := ./pkg/kernel/... ./pkg/probe/ ./realserver/... ./e2e/lab/...
# If network namespaces can be created here, `make unit` has already run the tests of the other pkg/kernel packages.
NEED_GUEST := $(if $(NETNS),./pkg/kernel/ipvs/ $(filter-out ./pkg/kernel/...,$(KERNEL)),$(KERNEL))
LABTEST     = $(LAB) test -speed $(SPEED) -hurry $(HURRY) $(if $(V),-v)

kernel: binaries ## tests of all packages that touch the kernel, in a kernel with IPVS
	$(LABTEST) $(call in_guest,$(KERNEL))

e2e: binaries $(if $(LONG),lab-packages) ## the scenarios; RUN=TestSeed001 for some, LONG=1 for the long form
	$(LABTEST) $(if $(LONG),,-short) $(if $(RUN),-run '$(RUN)') $(TESTS)/e2e.test=e2e

# Benchmarks measure the real CPU.
bench-connections bench-failover bench-flapping bench-handover bench-memory bench-table bench-thousand: SPEED = 1

bench-failover: binaries ## compare the outages of lvs-director and keepalived in one boot
	$(LABTEST) -bench -v -run '^TestBenchFailover$$' $(TESTS)/e2e.test=e2e

bench-flapping: binaries ## compare what clients notice of a link that flaps, with lvs-director and keepalived in one boot
	$(LABTEST) -bench -v -run '^TestBenchFlapping$$' $(TESTS)/e2e.test=e2e

bench-connections: binaries ## what many connections cost a pair of directors; LVS_BENCH_CONNECTIONS=100000
	$(LABTEST) -bench -v -run '^TestBenchConnections$$' $(TESTS)/e2e.test=e2e

bench-handover: binaries ## compare a graceful stop of lvs-director and keepalived in one boot
	$(LABTEST) -bench -v -run '^TestBenchHandover$$' $(TESTS)/e2e.test=e2e

bench-memory: binaries ## resident memory of a director with 1 000 real servers; fails above 40 MB
	$(LABTEST) -v -run '^TestMemory$$' $(TESTS)/e2e.test=e2e

bench-table: binaries ## how start, reload and stop grow with the table, beside keepalived and ipvsadm, with a plot in docs; LVS_BENCH_SERVERS="100 32000"
	set -o pipefail; $(LABTEST) -guests 1 -bench -v -run '^TestBenchTable$$' $(TESTS)/e2e.test=e2e | tee $(BIN)/bench-table.txt
	cd e2e/plot && $(GO) run . $(CURDIR)/$(BIN)/bench-table.txt $(CURDIR)/docs/performance-table.svg

# REFERENCE: a directory with another build of lvs-director.
bench-thousand: binaries ## start, reload, stop and rest of 1 000 virtual servers of 4; REFERENCE=DIR for ratios to another build
	$(if $(REFERENCE),LVS_REFERENCE=$(abspath $(REFERENCE))) $(LABTEST) -bench -v -run '^TestBenchThousand' $(TESTS)/e2e.test=e2e

# REFERENCE: a directory with the programs of an older version, such as bin of another worktree.
upgrade: binaries ## from the version in REFERENCE=DIR to this one and back, in a guest
	LVS_REFERENCE=$(abspath $(or $(REFERENCE),$(error make upgrade REFERENCE=DIR, a directory with the programs of an older version))) $(LABTEST) -bench -v -run '^TestUpgrade(InMaintenance)?$$' $(TESTS)/e2e.test=e2e

bench-rest: binaries ## CPU usage of an idle director, on this machine's own kernel; fails above 0.5 %
	cd e2e && LVS_REQUIRE=$(NETNS) $(CURDIR)/$(TESTS)/e2e.test -test.v -test.run '^TestAtRest$$'

# keepalived of this machine, or else of the lab's packages.
LAB_CACHE := $(or $(LVS_LAB_CACHE),$(HOME)/.cache/lvs-director/lab)
bench-instances: binaries ## CPU and memory of 64 and 255 instances beside keepalived, on this machine's own kernel; LVS_BENCH_TIME=60s
	@mkdir -p $(BIN)/beside && tree=$$(ls -d $(LAB_CACHE)/*/tree | head -1) && \
	printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/usr/lib/%s-linux-gnu exec %s/usr/sbin/keepalived "$$@"\n' $$tree $$(uname -m) $$tree > $(BIN)/beside/keepalived && chmod +x $(BIN)/beside/keepalived
	cd e2e && PATH="$$PATH:$(CURDIR)/$(BIN)/beside" LVS_REQUIRE=netns,keepalived $(CURDIR)/$(TESTS)/e2e.test -test.v -test.timeout 30m -test.run '^TestBenchInstances$$'

# Compile first, which uses all CPUs; then run the guests, whose results do not depend on the load of the machine.
test: ## the daily tests, within 8 minutes on 2 cores
	@begun=$$(date +%s); set -e; \
	$(MAKE) --no-print-directory -k -j2 --output-sync=target lint unit binaries; \
	$(MAKE) --no-print-directory -k -j2 --output-sync=target runner daily BEGUN=$$begun

# A part of test: run the test binaries in guests.
daily:
	@$(LABTEST) -short -budget 8m $(if $(BEGUN),-begun $(BEGUN)) $(TESTS)/e2e.test=e2e $(call in_guest,$(NEED_GUEST))

SEED       ?= $(shell date +%s)
PROPERTIES := vrrp election lvs health checker reconcile

# How many states each search of the election visits, and how many random histories are played.
STATES     ?= 100000
HISTORIES  ?= 10000
search: ## every order of events of two and three directors, within a bound, and random histories of up to five
	$(GO) test -count=1 -timeout 60m -v -run '^Test(Search|Histories)$$' ./pkg/vrrp -search.states=$(STATES) -histories=$(HISTORIES)

properties: ## the property tests, 1 000 cases each; SEED=… repeats a run
	@echo "properties with seed $(SEED); to repeat: make properties SEED=$(SEED)"
	$(GO) test -count=1 $(addprefix ./pkg/,$(PROPERTIES)) -rapid.checks=1000 -rapid.seed=$(SEED)

soak: binaries lab-packages ## long forms of scenarios, the second kernel, interoperation with keepalived, fuzzing; within 40 minutes
	@begun=$$(date +%s); set -e; \
	$(MAKE) --no-print-directory properties search fuzz; \
	$(LABTEST) -second -short $(TESTS)/e2e.test=e2e; \
	for t in $$(grep -rlE --include='*_test.go' 'netnstest\.(NewNFT|OnStockKernel)' pkg/kernel | xargs -n1 dirname | xargs -n1 basename | sort -u); do $(LAB) -kernel debian -- env LVS_REQUIRE=all $(CURDIR)/$(TESTS)/$$t.test; done; \
	$(MAKE) --no-print-directory runner LONG=1; \
	$(LABTEST) -long-only -budget 40m -begun $$begun $(TESTS)/e2e.test=e2e $(call in_guest,$(KERNEL))

release-check: lab-packages ## what takes too long for CI: every scenario in its long form, benchmarks, ten times as much fuzzing; REFERENCE=DIR for an upgrade
	$(MAKE) --no-print-directory test
	LVS_HEAL_CYCLES=100 $(LABTEST) $(TESTS)/e2e.test=e2e $(call in_guest,$(KERNEL))
	$(LABTEST) -second -short $(TESTS)/e2e.test=e2e
	$(MAKE) --no-print-directory runner LONG=1
	$(MAKE) --no-print-directory bench-failover bench-handover bench-memory bench-thousand $(if $(NETNS),bench-rest bench-instances)
	$(if $(REFERENCE),$(MAKE) --no-print-directory upgrade)
	$(MAKE) --no-print-directory packages-check
	$(MAKE) --no-print-directory properties
	$(MAKE) --no-print-directory search STATES=400000 HISTORIES=100000
	$(MAKE) --no-print-directory fuzz FUZZ=1000000

# The number of inputs for each fuzz target; a fifth of it for cluster files, of which 500 a second
# are read. Not a time, because at the end of a time `go test` may fail with "context deadline exceeded" although nothing was found
# (golang/go#75804).
# A new input is not made smaller: that takes minutes with cluster files and finds nothing, and on a starved machine the fuzzer ended
# a worker twice meanwhile (one input may take 10 s, golang/go#56238).
FUZZ ?= 100000
fuzz: ## every fuzz target, with FUZZ inputs each
	@for p in $$($(GO) list ./pkg/... ./realserver/...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; \
			n=$(FUZZ); [ $$f != FuzzParse ] || case $$p in */pkg/config) n=$$((n / 5));; esac; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${n}x -fuzzminimizetime 0x $$p || exit 1; \
		done; \
	done

demo: build lab ## demonstrate failover and health checks, in a guest kernel
	$(GO) build -o $(BIN)/demo ./e2e/cmd/demo
	@LVS_COLOR=$$([ -t 1 ] && echo always) $(LAB) -- $(CURDIR)/$(BIN)/demo

demo-shell: build lab ## the cluster of the demo, with a shell in it
	$(GO) build -o $(BIN)/demo ./e2e/cmd/demo
	@$(LAB) -t 0 -it -- $(CURDIR)/$(BIN)/demo -shell

clean:
	rm -rf $(BIN) out
