# SPDX-License-Identifier: BSD-3-Clause
# A thin front for meson, ninja and scripts/. `make help` lists the targets.

BUILD       ?= build
BUILD_DEBUG ?= build-debug
MESON_FLAGS ?=
SHELL       := /bin/bash

# Warnings are errors in CI, and for whoever asks for it.
ifneq ($(filter true 1 yes,$(CI) $(WERROR)),)
MESON_FLAGS += --werror
endif

# SETUP=no builds with whatever is there.
SETUP ?= yes

.PHONY: all
all: setup $(BUILD)/build.ninja ## build everything; the programs land in build/bin/
	@ninja -C $(BUILD)
	@scripts/link-programs $(BUILD)

.PHONY: setup
setup: ## install missing Debian packages (quick when nothing is missing)
ifeq ($(SETUP),yes)
	@scripts/setup.sh
endif

$(BUILD)/build.ninja: | setup
	@meson setup $(MESON_FLAGS) $(BUILD)

.PHONY: debug
debug: setup ## build with address and undefined-behaviour sanitizers into build-debug/
	@[ -f $(BUILD_DEBUG)/build.ninja ] || meson setup $(MESON_FLAGS) --buildtype=debug \
		-Db_sanitize=address,undefined -Db_lundef=false $(BUILD_DEBUG)
	@ninja -C $(BUILD_DEBUG)
	@scripts/link-programs $(BUILD_DEBUG)

.PHONY: run
run: all ## try it out: a lab of network namespaces with a real WireGuard client (root)
	@scripts/run

.PHONY: vm
vm:
ifeq ($(SETUP),yes)
	@scripts/setup.sh --vm
endif

.PHONY: test
test: all vm ## unit and end-to-end tests; the last line counts them
	@BUILD=$(BUILD) scripts/test unit e2e

.PHONY: test-unit
test-unit: all ## unit tests only (any user, no hugepages, no NIC)
	@BUILD=$(BUILD) scripts/test unit

.PHONY: test-e2e
test-e2e: all vm ## end-to-end tests only (root; network namespaces of their own)
	@BUILD=$(BUILD) scripts/test e2e

.PHONY: test-debug
test-debug: debug ## unit tests under the sanitizers
	@BUILD=$(BUILD_DEBUG) scripts/test unit

.PHONY: lint
lint: all ## formatting, spelling, licence lines, layers, headers, cppcheck, clang-tidy
	@BUILD=$(BUILD) scripts/lint.sh

.PHONY: format
format: ## rewrite the C sources with the pinned clang-format
	@git ls-files -z '*.c' '*.h' | xargs -0 -r clang-format-14 -i

.PHONY: fuzz
fuzz: setup ## run each fuzz target for FUZZ_SECONDS (60), with sanitizers, under clang
	@scripts/fuzz build-fuzz

.PHONY: mutate
mutate: setup ## put one fault at a time into a copy; a named test must notice each (minutes)
	@BUILD=$(BUILD) scripts/mutate

.PHONY: fresh
fresh: ## make run and the unit tests on the smallest Debian 12, in a folder (root; minutes, 4 GB of disk)
	@scripts/fresh

.PHONY: bench
bench: all ## run meson's benchmarks; figures also go to build/meson-logs/benchmarklog.txt
	@meson test -C $(BUILD) --benchmark --no-rebuild --verbose

.PHONY: analyze
analyze: all ## gcc's static analyzer (advice), the kernels' machine code, and much through them
	@[ -f build-analyze/build.ninja ] || meson setup -Dc_args=-fanalyzer -Dtests=false build-analyze
	@ninja -C build-analyze clean >/dev/null
	@ninja -C build-analyze
	@scripts/check-kernel-asm $(BUILD)
	@AEAD_TEST_PACKETS=10000000 AEAD_TEST_SEED=$$(date +%s) \
		$(BUILD)/test/unit/dataplane/aead/test_aead_random
	@X25519_TEST_ROUNDS=1000000 $(BUILD)/test/unit/dataplane/x25519/test_x25519_burst
	@X25519_TEST_JOBS=1000000 X25519_TEST_SEED=$$(date +%s) \
		$(BUILD)/test/unit/dataplane/x25519/test_x25519_random

.PHONY: coverage
coverage: setup ## line coverage of the unit tests
	@[ -f build-coverage/build.ninja ] || meson setup --buildtype=debug -Db_coverage=true build-coverage
	@ninja -C build-coverage
	@meson test -C build-coverage --no-rebuild --quiet
	@gcovr --root . --exclude test/ --object-directory build-coverage build-coverage

.PHONY: docs
docs: setup ## man pages from docs/man/ into build/man/
	@mkdir -p $(BUILD)/man
	@for page in docs/man/*.scd; do [ -f "$$page" ] || continue; \
		out=$(BUILD)/man/$$(basename "$$page" .scd); \
		scdoc <"$$page" >"$$out" && echo "$$out"; done

.PHONY: deb
deb: setup ## the Debian package, from what git tracks, into build/deb/
	@scripts/deb $(BUILD)/deb

.PHONY: clean
clean: ## remove what was built
	@rm -rf $(BUILD) $(BUILD_DEBUG) build-fuzz build-coverage build-analyze

.PHONY: help
help: ## this list
	@echo 'Sallyport: make TARGET'
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/  \1 \2/p' $(MAKEFILE_LIST) | \
		awk '{ name = $$1; $$1 = ""; printf "  %-12s%s\n", name, $$0 }'
	@echo 'Variables: BUILD=dir  WERROR=1  SETUP=no  ONCE=1 (make run)  TESTS=expression (make test-e2e)'
