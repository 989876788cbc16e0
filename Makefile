# `make` alone tells what there is.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
PREFIX  ?= /usr
DESTDIR ?=
GO      ?= go

# Static, so that one file runs on every Linux; no build paths inside; no symbol table.
GOBUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.DEFAULT_GOAL := help
.PHONY: help build demo test lint fmt sim e2e chaos needless bench install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/matriarch, one static file
	@scripts/need-go.sh
	$(GOBUILD) -o bin/matriarch ./cmd/matriarch

demo: build ## a cluster of three on this machine, and the loss of its primary
	@scripts/need-postgresql.sh
	bin/matriarch demo

test: ## everything: lint, all tests with real PostgreSQL and etcd (ROOMS=./internal/... for some)
	scripts/test.sh $(ROOMS)

lint: ## format, vet, staticcheck
	scripts/lint.sh

fmt: ## gofmt -w
	gofmt -w .

SEEDS ?= 500
HOURS ?= 2
SEED  ?= 1

sim: ## simulated clusters: SEEDS=500 of them live HOURS=2 each (SEED=1 is the first, SIM='-dense', '-timed', '-byhand' or '-counted')
	$(GO) test -count=1 -timeout 0 ./internal/sim -run '^TestSeeds$$' -v -args -seed $(SEED) -seeds $(SEEDS) -hours $(HOURS) $(SIM)

MUTANT_SEEDS ?= 0

sim-mutants: ## rules left out, one at a time: each is noticed within the seeds stated for it (or MUTANT_SEEDS)
	@echo "By the model of the permit's rules alone, in runs of a minute:"
	PERMIT_SEEDS=10000 $(GO) test -count=1 -timeout 0 ./internal/permit -run '^TestTheModelNoticesEachRuleThatIsLeftOut$$' -v
	@echo "By whole clusters; one that is not found is an error:"
	$(GO) test -count=1 -timeout 0 ./internal/sim -run '^TestMutants$$' -v -args -mutants -mutant-seeds $(MUTANT_SEEDS)

e2e: ## whole clusters with real servers only
	$(GO) test -count=1 -timeout 20m ./test/e2e/...

CHAOS_MINUTES ?= 10
MINUTES ?= 10

chaos: ## clusters hurt by lot for CHAOS_MINUTES (root; CHAOS_SEED repeats a run's faults)
	CHAOS_MINUTES=$(CHAOS_MINUTES) $(GO) test -count=1 -v -timeout $$(($(CHAOS_MINUTES) + 20))m -run TestLong ./test/chaos

needless: ## pgbench on all it can get for MINUTES, and nobody may take over
	NEEDLESS_MINUTES=$(MINUTES) $(GO) test -count=1 -v -timeout $$(($(MINUTES) + 10))m -run TestNeedless ./test/chaos

bench: ## how long writes stop, beside Patroni: docs/benchmarks.md (root, an hour and more; BENCH='-system matriarch')
	$(GO) run ./bench/rto $(BENCH)

install: build ## binary and unit below $(DESTDIR)$(PREFIX)
	install -D -m 0755 bin/matriarch $(DESTDIR)$(PREFIX)/bin/matriarch
	install -D -m 0644 packaging/matriarch.service $(DESTDIR)$(PREFIX)/lib/systemd/system/matriarch.service

clean: ## what build made
	rm -rf bin dist
