# `make` prints the targets. `make verify` is what CI runs.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X sluice/internal/cli.version=$(VERSION)
FUZZTIME ?= 5s
SEEDS ?= 200
CHAOS_MINUTES ?= 30
RUNS    ?=
DURATION ?=
PARTS   ?= throughput
BASELINE ?=
TESTFLAGS ?=
# Packages that leave something out under the race detector say so by this file.
UNRACED = $(patsubst %/,./%,$(sort $(dir $(shell git ls-files '*race_off_test.go'))))
PROGRAMS := server analyzer agent loadgen demo
# What runs on macOS, too; the distributor does not.
DARWIN := agent client analyzer loadgen demo
IMAGES := server analyzer agent loadgen

.DEFAULT_GOAL := help
.PHONY: help build demo run test race unraced sim faults storm chaos fuzz bench peers scale lint verify readme images compose-test deploy-check clean $(PROGRAMS:%=bin/%)

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(PROGRAMS:%=bin/%) ## build bin/server, bin/analyzer, bin/agent, bin/loadgen, bin/demo

$(PROGRAMS:%=bin/%): bin/%:
	@$(GO) build -ldflags '$(LDFLAGS)' -o $@ ./$*

demo: build ## run the demonstrations: everything in one process
	@bin/demo all

run: build ## run the whole system until interrupted (demo up)
	@bin/demo up

test: ## run all tests, the simulator and the fault runs in their short form included (5 minutes)
	$(GO) test $(TESTFLAGS) ./...

race: ## run all tests with the race detector
	$(GO) test -race ./...

unraced: ## run what the race detector leaves out: the faults, the simulator, allocations
	$(GO) test $(UNRACED)

sim: ## run SEEDS (200) seeds of the simulator
	$(GO) test ./server/sim -run TestSeeds -count 1 -timeout 0 -args -seeds $(SEEDS)

faults: ## kill, freeze and cut real processes, each fault three times
	$(GO) test -count 1 ./e2e/faults

storm: ## the agent's long fault runs: rotations, kill -9 in turn, truncation (5 minutes)
	SLUICE_LONG=1 $(GO) test -count 1 -timeout 20m -run 'Kills|CopyTruncate|CutOff' -v ./agent

chaos: ## the faults for CHAOS_MINUTES (30); the verdict goes to docs/RELIABILITY.md
	$(GO) run ./e2e/chaos --minutes $(CHAOS_MINUTES) --markdown docs/RELIABILITY.md

# Go's fuzzing engine now and then takes the end of FUZZTIME for a failure
# ("context deadline exceeded", with no failing input): that one is run again.
fuzz: ## run every fuzz target for FUZZTIME (5s)
	@set -e; log=$$(mktemp); trap 'rm -f $$log' EXIT; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; run="$(GO) test -run ^$$ -fuzz ^$$f$$ -fuzztime $(FUZZTIME) $$pkg"; \
	    if ! $$run >$$log 2>&1; then \
	      if grep -q 'context deadline exceeded' $$log && ! grep -q 'Failing input' $$log; then echo "again: the end of the time was taken for a failure"; $$run; \
	      else cat $$log; exit 1; fi; \
	    fi; tail -1 $$log; done; done

bench: ## run the benchmarks, keep the result by commit, compare with the last (COUNT, BENCH, TIME, BASE)
	bench/run.sh

peers: build ## measure beside HAProxy, NGINX, NATS, rsyslog (first: bench/peers/install.sh); with BASELINE=DIR, new against old Sluice (RUNS, DURATION, PARTS)
ifeq ($(BASELINE),)
	$(GO) run ./bench/peers $(RUNS:%=--runs %) --markdown docs/peers.md --svg docs/peers.svg --json bin/peers.json
else
	$(GO) run ./bench/peers $(RUNS:%=--runs %) $(DURATION:%=--duration %) --baseline $(BASELINE) --parts $(PARTS) --json bin/baseline.json
endif

scale: build ## measure cost over agents, analyzers and sizes, and fit a model: docs/scale.md (10 minutes; goes on where it was cut off)
	$(GO) run ./bench/peers scale --markdown docs/scale.md --svg docs/scale.svg

lint: ## gofmt, vet (for macOS, too), staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	GOOS=darwin CGO_ENABLED=0 $(GO) vet $(DARWIN:%=./%/...)
	$(GO) build -modfile=tools/go.mod -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...

readme: build ## run the commands of README.md and docs/OPERATIONS.md
	./.ci/readme

images: ## build the images sluice-server, -analyzer, -agent, -loadgen with docker
	@for p in $(IMAGES); do docker build --target $$p --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null) -t sluice-$$p:latest . || exit 1; done

compose-test: ## build the images, run docker-compose.yml, hurt it, and leave nothing behind
	GO='$(GO)' e2e/compose/run.sh

deploy-check: ## check units, manifests, /metrics, dashboard and alert rules by their own tools
	GO='$(GO)' deploy/check.sh

verify: lint race unraced fuzz readme deploy-check ## all that must be green before a change lands

clean: ## remove what was built
	rm -rf bin
