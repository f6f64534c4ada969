# Every target works as an ordinary user: the kernel that the scenarios need comes out of Debian packages in a cache
# directory (LVS_LAB_CACHE, default ~/.cache/lvs-director/lab), and nothing is installed on the machine.
SHELL := /bin/bash
GO    ?= go
BIN   := bin
LAB   := $(CURDIR)/$(BIN)/labrun
# In a kernel of its own, also where the machine's has IPVS: scenarios take modules out of it and freeze disks.
export LVS_LAB ?= guest
RUN   ?= .
# How many times as fast as this machine the guest's CPU seems to the guest. One CPU of user-mode-linux is slow (a system call
# takes it 50-500 us), and this machine itself may get only a part of its own.
SPEED ?= 2
# How many times as fast its time goes by while it sleeps.
HURRY ?= 10
# More to read: what tests log that pass, too.
V     ?=

PROGRAMS := lvs-director lvs-realserver lvsctl
VERSION  ?=
LDFLAGS  := -s -w $(if $(VERSION),-X github.com/lvs-director/lvs-director/pkg/version.number=$(VERSION))

# Tests in the lab are told to fail where they would skip for want of a kernel.
IN_LAB = CGO_ENABLED=0 LVS_REQUIRE=netns,ipvs $(GO) test -count=1 -exec '$(LAB) -again -speed $(SPEED) -hurry $(HURRY)'

.PHONY: all help build lab scenarios lint unit runner kernel kernel-all e2e test soak exact fuzz demo demo-shell bench-failover bench-memory bench-rest clean

all: build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## the three programs, static, in bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ $(addprefix ./cmd/,$(PROGRAMS))

lab: ## the runner that boots a kernel with IPVS, and what it needs
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -o $(LAB) ./e2e/cmd/labrun
	$(LAB) -fetch

lint: ## gofumpt, vet, staticcheck
	@unformatted=$$($(GO) tool gofumpt -l cmd internal pkg realserver deploy docs e2e) && test -z "$$unformatted" || { echo "not formatted (go tool gofumpt -w): $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Whether network namespaces can be made here: then what needs them must not be skipped.
NETNS := $(shell unshare --net true 2>/dev/null && echo netns)

unit: ## unit tests with the race detector; as root also those in network namespaces
	CGO_ENABLED=1 LVS_REQUIRE=$(NETNS) $(GO) test -race $$($(GO) list ./... | grep -v -e '/e2e$$' -e '/e2e/')

runner: lab ## the tests of the lab's runner, which boots guests from outside
	LVS_REQUIRE=guest $(GO) test ./e2e/lab/guest ./e2e/cmd/labrun

# In a kernel with IPVS: what needs IPVS or the lab's programs, and where the unit tests cannot make network namespaces
# everything that touches the kernel.
NEED_LAB := ./pkg/kernel/ipvs/ ./pkg/probe/ ./realserver/... ./e2e/lab/ $(addprefix ./e2e/lab/,capture ipvsadm mariadb measure systemd)
kernel: build lab ## the packages that touch the kernel, in a kernel with IPVS
	$(IN_LAB) $(if $(NETNS),$(NEED_LAB),./pkg/kernel/... $(NEED_LAB))

kernel-all: build lab ## all of them, also those that the unit tests could run on this machine's kernel
	$(IN_LAB) ./pkg/kernel/... $(NEED_LAB)

# Two guests at a time, each with one CPU. LONGER is not for every day: make soak.
TIMED     := TestElection|TestGratuitousARP|TestFailover|TestSplit|TestInterop|TestForgedPackets|TestNoPreempt|TestPreempt|TestKilledMaster|TestOwner|TestEqualPriority|TestVIP|TestReturnsWithServers|TestBench|TestTakeOver|TestServerLost|TestForeignVIP|TestStall|TestFastAdverts|TestBusyMachine|TestAdvertsWhile|TestHostileNeighbour|TestAtRest|TestLeaseEnds
LONGER    := TestMySQLChecks|TestSchedulers|TestForwardNAT|TestForwardTUN|TestInterfaceComesLater|TestInterop|TestBench|TestNoPreempt|TestNothingIsLeftBehind|TestUnitsAgent|TestRefusals|TestServerDead|TestHangup|TestOwner|TestEqualPriority|TestSeed000|TestStatus|TestCleanup|TestPreemptDelay|TestKilledMaster|TestVIP|TestReturnsWithServers|TestAgent$$|TestMySQLServerFails|TestReload$$
IN_GUEST  = cd e2e && LVS_REQUIRE=netns,ipvs $(LAB) -again -speed $(SPEED) -hurry $(HURRY) $(CURDIR)/$(BIN)/e2e.test
SCENARIOS = $(IN_GUEST) -test.timeout=30m
ELECTIONS = $(SCENARIOS) -test.parallel 2 -test.run '$(TIMED)' -test.skip '$(LONGER)'
SERVICES  = $(SCENARIOS) -test.parallel 2 -test.skip '$(TIMED)|$(LONGER)'

scenarios: build lab
	CGO_ENABLED=0 $(GO) test -c -o $(BIN)/e2e.test ./e2e/

e2e: scenarios ## the scenarios; RUN=TestSeed001 for some
ifeq ($(RUN),.)
	@.ci/parallel elections "$(ELECTIONS)" services "$(SERVICES)"
else
	$(SCENARIOS) -test.v -test.run '$(RUN)'
endif

# Figures are of the CPU that is there.
exact bench-failover bench-memory: SPEED = 1

# The limits of `make test` and `make soak` are loose, for their guests may get a part of a CPU only.
exact: scenarios ## the scenarios, or RUN=..., held to the very limits that are promised; on a machine that does nothing else
	export LVS_EXACT=1; $(SCENARIOS) -test.parallel 1 -test.v -test.run '$(RUN)'

bench-failover: scenarios ## outages of lvs-director and keepalived, side by side in one boot
	export LVS_BENCH=1; $(SCENARIOS) -test.v -test.run TestBenchFailover

bench-memory: scenarios ## resident memory of a director with 1 000 real servers; fails above 40 MB
	export LVS_SOAK=1; $(SCENARIOS) -test.v -test.run 'TestMemory$$'

bench-rest: scenarios ## CPU of a director at rest, on this machine's own kernel; fails above 0.5 %
	cd e2e && $(if $(NETNS),LVS_REQUIRE=netns) $(CURDIR)/$(BIN)/e2e.test -test.v -test.run 'TestAtRest$$'

# The compilers first, for they take both CPUs; then two lanes, one guest at a time in each, with a CPU of its own.
test: scenarios ## everything of the day, within 8 minutes on 2 cores
	@.ci/parallel lint "$(MAKE) --no-print-directory lint" unit "$(MAKE) --no-print-directory unit"
	@.ci/parallel elections "($(ELECTIONS)) && $(MAKE) --no-print-directory runner kernel" services "$(SERVICES)"

SEED       ?= $(shell date +%s)
PROPERTIES := vrrp lvs health reconcile

# The long forms: those that seeds and faults ask for, and the hardening ones; one after the other in each guest.
LONG_TIMED := TestPreemptDelay|TestKilledMaster|TestVIP|TestReturnsWithServers|TestOwner|TestEqualPriority|TestNoPreempt|TestServerLost|TestBenchFailover|TestInterop|TestFailover|TestForeignVIP|TestStall|TestFastAdverts|TestBusyMachine|TestHostileNeighbour|TestLeaseEnds|TestManyLeases|TestForgedPackets
LONG_OTHER := TestSeed001|TestSeed000|TestStatus|TestCleanup|TestAgent$$|TestMySQLServerFails|TestReload$$|TestRefusals|TestServerDead|TestHangup|TestUnits|TestNothingIsLeftBehind|TestMySQLChecks|TestSchedulers|TestForwardNAT|TestForwardTUN|TestInterfaceComesLater|TestAdoptionOfAChangedFile|TestBrokenReloads|TestDeaths|TestForeign(Agent|Interface|Table)|TestLastGood|TestLateInterface|TestMemory|TestNothingGrows|TestReloadIsOnePlan|TestStateDirectory|TestTableBeforeANewVIP|TestNoDescriptors|TestLogNobodyReads|TestModuleUnloaded|TestEventsLost|TestFrozenDisk
# The lanes take 22 minutes on a quiet machine; what has not ended within an hour hangs.
LONG      = $(IN_GUEST) -test.timeout=60m -test.parallel 1 $(if $(V),-test.v) -test.run

soak: scenarios ## the long forms of scenarios, keepalived beside us, and fuzzing; within 40 minutes
	@export LVS_SOAK=1; .ci/parallel timed "$(LONG) '$(LONG_TIMED)'" other "$(LONG) '$(LONG_OTHER)'"
	@export LVS_SOAK=1; $(LONG) 'TestMemoryShort|TestAdvertsWhile' # alone: the one is felt on the whole machine, the other feels it
	$(if $(NETNS),$(MAKE) --no-print-directory bench-rest)
	$(if $(NETNS),$(MAKE) --no-print-directory kernel-all)
	@echo "properties with seed $(SEED); again with: make soak SEED=$(SEED)"
	$(GO) test -count=1 $(addprefix ./pkg/,$(PROPERTIES)) -rapid.checks=1000 -rapid.seed=$(SEED)
	$(MAKE) --no-print-directory fuzz

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
