# Every target works as an ordinary user: the kernel that the scenarios need comes out of Debian packages in a cache
# directory (LVS_LAB_CACHE, default ~/.cache/lvs-director/lab), and nothing is installed on the machine.
SHELL := /bin/bash
GO    ?= go
BIN   := bin
LAB   := $(CURDIR)/$(BIN)/labrun
# In a kernel of its own, also where the machine's has IPVS: scenarios take modules out of it and freeze disks.
export LVS_LAB ?= guest
# Which scenarios, and in which form: RUN=TestSeed001, LONG=1.
RUN   ?=
LONG  ?=
# How many times as fast as this machine the guest's CPU seems to the guest. One CPU of user-mode-linux is slow (a system call
# takes it 50-500 us), and this machine itself may get only a part of its own.
SPEED ?= 2
# How many times as fast its time goes by while it sleeps.
HURRY ?= 50
# More to read: what tests log that pass, too.
V     ?=

PROGRAMS := lvs-director lvs-realserver lvsctl
VERSION  ?=
LDFLAGS  := -s -w $(if $(VERSION),-X github.com/lvs-director/lvs-director/pkg/version.number=$(VERSION))

# Whether network namespaces can be made here: then what needs them must not be skipped.
NETNS := $(shell unshare --net true 2>/dev/null && echo netns)

.PHONY: all help build lab stock binaries lint unit runner daily kernel e2e test soak release-check properties fuzz demo demo-shell bench-failover bench-memory bench-thousand bench-rest clean

all: build

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## the three programs, static, in bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ $(addprefix ./cmd/,$(PROGRAMS))

lab: ## the runner that boots a kernel with IPVS, and what it needs
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -o $(LAB) ./e2e/cmd/labrun
	$(LAB) -fetch

lint: ## gofumpt, vet, staticcheck
	@unformatted=$$($(GO) tool gofumpt -l cmd internal pkg realserver deploy docs e2e) && test -z "$$unformatted" || { echo "not formatted (go tool gofumpt -w): $$unformatted"; exit 1; }
	$(GO) vet ./... ./e2e/cmd/labrun/testdata/fixture
	$(GO) tool staticcheck ./...

# Scenarios and the lab's own tests are for a guest, and two packages boot guests.
unit: ## unit tests with the race detector; as root also those in network namespaces
	CGO_ENABLED=1 LVS_REQUIRE=$(NETNS) $(GO) test -race $$($(GO) list ./... | grep -v -e '/e2e$$' -e '/e2e/lab' -e '/e2e/cmd/labrun')

runner: lab stock ## the tests of the lab's runner; LONG=1 for all of them
	LVS_REQUIRE=guest $(GO) test $(if $(LONG),,-short) ./e2e/lab/guest ./e2e/cmd/labrun

stock: lab
	@$(LAB) -kernel debian -fetch

# The test binaries for guests, which the race detector does not run in.
TESTS := $(BIN)/tests
binaries: build lab stock
	@rm -rf $(TESTS) && mkdir -p $(TESTS)
	CGO_ENABLED=0 $(GO) test -c -o $(TESTS)/ ./e2e/ ./pkg/kernel/... ./pkg/probe/ ./realserver/... $$($(GO) list ./e2e/lab/... | grep -v /guest)

# Packages as labrun test wants them: BINARY=DIRECTORY.
in_guest = $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' $(1) | grep -v /e2e/lab/guest | sed -E 's|.*/([^/ ]+) (.*)|$(TESTS)/\1.test=\2|')
KERNEL     := ./pkg/kernel/... ./pkg/probe/ ./realserver/... ./e2e/lab/...
# Where the unit tests make network namespaces, they have run the rest of those.
NEED_GUEST := $(if $(NETNS),./pkg/kernel/ipvs/ $(filter-out ./pkg/kernel/...,$(KERNEL)),$(KERNEL))
LABTEST     = $(LAB) test -speed $(SPEED) -hurry $(HURRY) $(if $(V),-v)

kernel: binaries ## all packages that touch the kernel, in a kernel with IPVS
	$(LABTEST) $(call in_guest,$(KERNEL))

e2e: binaries ## the scenarios; RUN=TestSeed001 for some, LONG=1 for the long form
	$(LABTEST) $(if $(LONG),,-short) $(if $(RUN),-run '$(RUN)') $(TESTS)/e2e.test=e2e

# Figures are of the CPU that is there.
bench-failover bench-memory bench-thousand: SPEED = 1

bench-failover: binaries ## outages of lvs-director and keepalived, side by side in one boot
	$(LABTEST) -v -run '^TestBenchFailover$$' $(TESTS)/e2e.test=e2e

bench-memory: binaries ## resident memory of a director with 1 000 real servers; fails above 40 MB
	$(LABTEST) -v -run '^TestMemory$$' $(TESTS)/e2e.test=e2e

# REFERENCE: a directory with another build of lvs-director.
bench-thousand: binaries ## start, reload, stop and rest of 1 000 virtual servers of 4; REFERENCE=DIR for ratios to another build
	$(if $(REFERENCE),LVS_REFERENCE=$(abspath $(REFERENCE))) $(LABTEST) -v -run '^TestBenchThousand' $(TESTS)/e2e.test=e2e

bench-rest: binaries ## CPU of a director at rest, on this machine's own kernel; fails above 0.5 %
	cd e2e && LVS_REQUIRE=$(NETNS) $(CURDIR)/$(TESTS)/e2e.test -test.v -test.run '^TestAtRest$$'

# The compilers first, for they take every CPU; then the guests, which others beside them do not disturb.
test: ## everything of the day, within 8 minutes on 2 cores
	@begun=$$(date +%s); set -e; \
	$(MAKE) --no-print-directory -k -j2 --output-sync=target lint unit binaries; \
	$(MAKE) --no-print-directory -k -j2 --output-sync=target runner daily BEGUN=$$begun

# A part of test: what the binaries that test has made have to do in guests.
daily:
	@$(LABTEST) -short -budget 8m $(if $(BEGUN),-begun $(BEGUN)) $(TESTS)/e2e.test=e2e $(call in_guest,$(NEED_GUEST))

SEED       ?= $(shell date +%s)
PROPERTIES := vrrp election lvs health checker reconcile

properties: ## the property tests, 1 000 cases each; SEED=… for the same again
	@echo "properties with seed $(SEED); again with: make properties SEED=$(SEED)"
	$(GO) test -count=1 $(addprefix ./pkg/,$(PROPERTIES)) -rapid.checks=1000 -rapid.seed=$(SEED)

soak: binaries ## the long forms of scenarios, the second kernel, keepalived beside us, and fuzzing; within 40 minutes
	@begun=$$(date +%s); set -e; \
	$(MAKE) --no-print-directory properties fuzz; \
	$(LABTEST) -second -short $(TESTS)/e2e.test=e2e; \
	$(MAKE) --no-print-directory runner LONG=1; \
	$(LABTEST) -long-only -budget 40m -begun $$begun $(TESTS)/e2e.test=e2e $(call in_guest,$(KERNEL))

release-check: ## what is too long for CI: every scenario in its long form, the benches, ten times as much fuzzing
	$(MAKE) --no-print-directory test
	$(LABTEST) $(TESTS)/e2e.test=e2e $(call in_guest,$(KERNEL))
	$(LABTEST) -second -short $(TESTS)/e2e.test=e2e
	$(MAKE) --no-print-directory runner LONG=1
	$(MAKE) --no-print-directory bench-failover bench-memory $(if $(NETNS),bench-rest)
	$(MAKE) --no-print-directory properties
	$(MAKE) --no-print-directory fuzz FUZZ=1000000

# How many inputs each target gets: a number, never a time, for at the end of a time `go test` may fail with "context
# deadline exceeded" though nothing was found (golang/go#75804).
FUZZ ?= 100000
fuzz: ## every fuzz target, with FUZZ inputs each
	@for p in $$($(GO) list ./pkg/... ./realserver/...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ)x -fuzzminimizetime 10000x $$p || exit 1; \
		done; \
	done

demo: build lab ## the main job, shown in a kernel of its own
	CGO_ENABLED=0 $(GO) build -o $(BIN)/demo ./e2e/cmd/demo
	@LVS_COLOR=$$([ -t 1 ] && echo always) $(LAB) -- $(CURDIR)/$(BIN)/demo

demo-shell: build lab ## the same cluster, and a shell in it
	CGO_ENABLED=0 $(GO) build -o $(BIN)/demo ./e2e/cmd/demo
	@$(LAB) -t 0 -it -- $(CURDIR)/$(BIN)/demo -shell

clean:
	rm -rf $(BIN) out
