# Zhijiao. `make run` and `make test` are all a newcomer needs; `make help` tells the rest.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

# An account without a home (or a job without HOME) still builds: Go and npm keep their caches in HOME.
ifeq ($(strip $(HOME)),)
export HOME := $(shell d=$$(getent passwd "$$(id -u)" | cut -d: -f6); [ -n "$$d" ] && [ -w "$$d" ] && echo "$$d" || echo "$(CURDIR)/.home")
endif
export GOFLAGS := $(strip $(filter-out -buildvcs=%,$(GOFLAGS)) -buildvcs=false)

VERSION := $(shell git -C "$(CURDIR)" describe --tags --always --dirty 2>/dev/null || echo unknown)
WEB     := console/web
DIST    := $(WEB)/dist/index.html
WEB_SRC := $(shell find $(WEB) \( -name node_modules -o -name dist \) -prune -o -type f -print 2>/dev/null)
GO_SRC  := $(shell find . \( -name node_modules -o -name .git -o -name data \) -prune -o \( -name '*.go' -o -name '*.sql' -o -name go.mod -o -name go.sum \) -print)
DATA    ?= data
ARGS    ?=

.PHONY: help run build web test test-short test-all bench faults check-long fuzz lint screenshots clean

help: ## tell what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: setup-run build ## install what is missing, start everything and show the demo (DATA=folder ARGS="--flag")
	@exec bin/zhijiao up --demo --data-dir "$(DATA)" $(ARGS)

build: bin/zhijiao ## build the front end and the program

bin/zhijiao: $(GO_SRC) $(DIST)
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/zhijiao

web: $(DIST) ## build the front end

$(DIST): $(WEB_SRC)
	cd $(WEB) && if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then npm ci --no-audit --no-fund; touch node_modules/.package-lock.json; fi
	cd $(WEB) && npm run build
	@touch $(WEB)/dist/.gitkeep $@

.PHONY: setup-run setup-test
setup-run:
	@scripts/setup.sh run
setup-test:
	@scripts/setup.sh test

test: setup-test build bin/withpg bin/testreport ## run all tests, with the servers they need
	@bin/withpg $(MAKE) test-all

# Under withpg: vet and format first, they are quick; the exit code is that of the worst.
test-all:
	@$(MAKE) lint
	@if grep -q '"test"' $(WEB)/package.json; then cd $(WEB) && npm test; fi
	@go test -race -json -timeout 30m -p 2 ./... | bin/testreport

test-short: setup-test bin/withpg bin/testreport ## only the quick tests
	@bin/withpg $(SHELL) -o pipefail -c 'go test -short -race -json ./... | bin/testreport'

bin/withpg: $(GO_SRC)
	@mkdir -p bin
	@go build -o $@ ./internal/pgtest/withpg

bin/testreport: $(wildcard internal/testreport/*.go)
	@mkdir -p bin
	@go build -o $@ ./internal/testreport

lint: ## formatting and go vet
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...)); [ -z "$$unformatted" ] || { echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; }
	@go vet ./...

bench: setup-test build bin/withpg ## geometry and evaluation on one core; the whole path against the bare broker, as medians of pairs
	@bin/withpg env ZHIJIAO_TEST_BENCH=1 go test -run '^TestBench' -count 1 -timeout 45m -v ./geofence ./internal/audit ./cmd/zhijiao

faults: setup-test build bin/withpg ## kill -9, SIGSTOP, crashes at every step, of server, database and broker, again and again; prints what was lost
	@bin/withpg env ZHIJIAO_TEST_FAULTS=10 go test -race -run 'Kill|Crash|Fault|OwnerStops|DiskFull' -count 1 -timeout 60m -v ./...

check-long: setup-test build bin/withpg ## 500 people for a week, all of the shared traces, the properties of event order and the geometry for long
	@bin/withpg env ZHIJIAO_TEST_LONG=1 go test -run '_R30|_R31' -count 1 -timeout 30m -v ./geofence
	@go test -run '_R36' -count 1 -timeout 60m ./geofence -rapid.checks=20000
	@bin/withpg env ZHIJIAO_TEST_LONG=1 go test -run '^TestReplaySharedTraces|^TestAWeekOfEverything' -count 1 -timeout 30m -v ./cmd/zhijiao

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME (30s)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

screenshots: setup-test build bin/withpg ## take the pictures of the documentation again
	@ZHIJIAO_TEST_SCREENSHOTS="$(CURDIR)/docs/images" go test -run '^TestScreenshots' -count 1 -timeout 10m -v ./cmd/zhijiao

clean: ## remove what was built; data stay
	rm -rf bin $(WEB)/node_modules test-results
	find $(WEB)/dist -mindepth 1 ! -name .gitkeep -delete
