# docker-multiarch: `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

MODULE := github.com/docker-multiarch/docker-multiarch
CACHE  := $(CURDIR)/.cache
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)

# The version information comes from the commit, so that every build of a commit
# has the same bytes.
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-$(COMMIT))
EPOCH   := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)
DATE    ?= $(shell date -u -d @$(EPOCH) +%FT%TZ 2>/dev/null || date -u -r $(EPOCH) +%FT%TZ)
LDFLAGS := -s -w -X $(MODULE)/commands.Version=$(VERSION) -X $(MODULE)/commands.Commit=$(COMMIT) -X $(MODULE)/commands.Date=$(DATE)
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# The tools that make a release.
NFPM_VERSION      := v2.43.4
CYCLONEDX_VERSION := v1.10.0
RELEASE_TOOLS     := $(CACHE)/release-$(NFPM_VERSION)-$(CYCLONEDX_VERSION)

# An empty DOCKER_CONFIG counts as unset.
PLUGINS := $(or $(DOCKER_CONFIG),$(HOME)/.docker)/cli-plugins

# Where man finds pages: it looks beside the folders of PATH, such as ~/.local/bin.
MANDIR ?= $(if $(filter 0,$(shell id -u)),/usr/local/share/man,$(HOME)/.local/share/man)

.PHONY: build
build: ## compile the plugin to bin/docker-multiarch
	$(GOBUILD) -o bin/docker-multiarch ./cli-plugin

.PHONY: install
install: build ## put the plugin into $DOCKER_CONFIG/cli-plugins or ~/.docker/cli-plugins, and its man pages into MANDIR
	mkdir -p '$(PLUGINS)'
	install -m 755 bin/docker-multiarch '$(PLUGINS)/docker-multiarch'
	mkdir -p '$(MANDIR)/man1'
	install -m 644 docs/man/*.1 '$(MANDIR)/man1'

.PHONY: demo
demo: install ## publish two images under one name, step by step, with a throwaway registry
	@cd e2e && go run ./demo

.PHONY: test-tools
test-tools: ## install the daemons, the registry and buildx for the tests into .cache
	e2e/install.sh '$(CACHE)'

# A package that takes longer than its timeout hangs, also on a loaded machine.
.PHONY: test
# Bounds of memory and work are tested without race detection, which changes both.
test: build $(if $(TEST_TOOLS),,test-tools) $(RELEASE_TOOLS)/nfpm $(RELEASE_TOOLS)/cyclonedx-gomod ## run all tests, with race detection, against real registries and daemons
	cd e2e && go build -o '$(CACHE)/bin/report' ./report
	{ failed=0; \
	  go test -race -json -timeout 20m ./... || failed=1; \
	  go test -json -timeout 20m ./task/render || failed=1; \
	  (cd e2e && go test -race -json -timeout 50m ./...) || failed=1; \
	  exit $$failed; } | '$(CACHE)/bin/report'

.PHONY: bench-tools
bench-tools: ## install the programs that bench compares with into .cache/bench
	e2e/install.sh '$(CACHE)/bench' peers

# The empty plugin is compiled with the plugin's flags, from the plugin's go.mod. SECTIONS="rounds copies"
# runs only these.
.PHONY: bench
bench: build $(if $(TEST_TOOLS),,test-tools) ## compare start-up, round trips, copies and listings with what is installed, measure store and index
	$(GOBUILD) -o '$(CACHE)/bench/docker-empty' e2e/bench/empty/main.go
	@echo && ls -l bin/docker-multiarch '$(CACHE)/bench/docker-empty' | awk '{ printf "size: %.1f MiB %s\n", $$5 / 1048576, $$NF }'
	@cd e2e && PATH='$(CACHE)/bench/bin':"$$PATH" go run ./bench -plugin '$(CURDIR)/bin/docker-multiarch' -empty '$(CACHE)/bench/docker-empty' $(SECTIONS)
	@$(if $(SECTIONS),,echo && go test -run '^$$' -bench . -benchmem ./manifest/...)

$(GOLANGCI):
	mkdir -p '$(CACHE)/golangci'
	GOBIN='$(CACHE)/golangci' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mkdir -p '$(@D)' && mv '$(CACHE)/golangci/golangci-lint' '$@'

.PHONY: lint
lint: $(GOLANGCI) ## look for mistakes and for what .golangci.yml forbids
	'$(GOLANGCI)' run ./...
	cd e2e && '$(GOLANGCI)' run ./...

.PHONY: docs
docs: ## write the reference and man pages to docs/ from the commands
	go run ./docs/generate docs

OSES  := linux darwin windows freebsd
ARCHS := amd64 arm64 arm s390x ppc64le riscv64 loong64
KNOWN := $(shell go tool dist list 2>/dev/null)
CROSS := $(filter $(KNOWN),$(foreach os,$(OSES),$(foreach arch,$(ARCHS),$(os)/$(arch))))
DIST  := $(CURDIR)/dist

.PHONY: cross
cross: $(addprefix cross-,$(subst /,-,$(CROSS))) ## compile for all platforms to dist/, with checksums
	cd '$(DIST)' && sha256sum docker-multiarch-* > SHA256SUMS

cross-%:
	GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) GOARM=7 \
	  $(GOBUILD) -o '$(DIST)/docker-multiarch-$*$(if $(filter windows-%,$*),.exe)' ./cli-plugin

# The owner of the repository on GitHub, from which a release is downloaded.
OWNER := docker-multiarch

.PHONY: release
release: $(RELEASE_TOOLS)/nfpm $(RELEASE_TOOLS)/cyclonedx-gomod ## make all files of a release in dist/: make release VERSION=v0.1.0
	@[[ '$(VERSION)' =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]] || { echo 'expected VERSION=vX.Y.Z, found $(VERSION)' >&2; exit 1; }
	rm -rf '$(DIST)'
	$(MAKE) cross VERSION='$(VERSION)' CROSS='$(CROSS)' DIST='$(DIST)'
	SOURCE_DATE_EPOCH='$(EPOCH)' release/release.sh '$(VERSION)' '$(OWNER)' '$(DIST)' '$(RELEASE_TOOLS)'

$(RELEASE_TOOLS)/nfpm:
	GOBIN='$(@D)' go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)

$(RELEASE_TOOLS)/cyclonedx-gomod:
	GOBIN='$(@D)' go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

.PHONY: clean
clean: ## remove what was compiled; .cache, with the test tools, stays
	rm -rf bin dist

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target what; do \
	  printf '  %-12s %s\n' "$$target" "$$what"; done
