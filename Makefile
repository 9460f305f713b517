# SPDX-License-Identifier: Apache-2.0
# A thin front for meson: `make run` and `make check` need nothing but git and make
# on a Debian 12; every target installs what it needs (scripts/setup.sh says what).
BUILD ?= build
SETUP = scripts/setup.sh
.DEFAULT_GOAL := all
.PHONY: all run check bench soak fuzz-smoke lint format gdb clean setup-build

# ninja redraws one line on a terminal; elsewhere two words are enough
NINJA = ninja -C $(BUILD) $(shell test -t 1 || echo --quiet)

PARTS = product

all: setup-build
	@echo "Building in $(BUILD)/ (some minutes the first time)"
	@$(NINJA) $(PARTS)

setup-build:
	@$(SETUP) build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >$(BUILD).setup.log 2>&1 || (cat $(BUILD).setup.log; rm -f $(BUILD).setup.log; exit 1)
	@rm -f $(BUILD).setup.log

run: ## Build, start Debian's redis-server as a unikernel, talk to it
	@$(SETUP) build run
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh $(BUILD)

check: ## All tests; the last line is "N passed, N failed"
	@$(SETUP) build run check languages
	@$(MAKE) --no-print-directory all PARTS="all meson-test-prereq"
	@python3 scripts/check.py $(BUILD)

bench: ## Measure against Debian's cloud kernel as guest, side by side
	@$(SETUP) build run check bench
	@$(MAKE) --no-print-directory all PARTS=all
	@python3 bench/bench.py $(BUILD) $(BENCH)

soak: ## Every language, foreign test suites, long loads: 10 minutes of each, leaks and stalls reported
	@$(SETUP) build run check bench languages soak
	@$(MAKE) --no-print-directory all PARTS="all meson-test-prereq kernel/plat/pc/drupe-kernel-pc-faults"
	@python3 scripts/check.py $(BUILD) soak
	@python3 bench/soak.py $(BUILD)

fuzz-smoke: ## A minute of every fuzzer, one of which must find its planted bug
	@$(SETUP) build check
	@$(MAKE) --no-print-directory all PARTS=all
	@python3 scripts/fuzz_smoke.py $(BUILD) --seconds $(or $(SECONDS_EACH),60)

lint: ## clang -Werror build, include directions, generated files, cppcheck
	@$(SETUP) build check
	@$(MAKE) --no-print-directory all PARTS=all
	@python3 scripts/lint.py $(BUILD)

format: ## clang-format over lines changed since HEAD
	@$(SETUP) build check
	@git diff -U0 --no-color HEAD -- '*.c' '*.h' | clang-format-diff-14 -p1 -i

gdb: ## A kernel that waits for gdb: PROGRAM="redis-server" make gdb
	@$(SETUP) build run check
	@$(MAKE) --no-print-directory all
	@scripts/gdb.sh $(BUILD) $(or $(PROGRAM),redis-server)

clean:
	rm -rf $(BUILD)
