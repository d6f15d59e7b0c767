# Entry points for people and for continuous integration; `make help` lists them.
#
#   CARGO=...       another cargo                     APXS=...     another httpd's apxs
#   CARGOFLAGS=...  options for cargo (--locked)      DESTDIR=...  stage an installation below this directory
#   PREFIX=...      where the deploy tool goes (/usr/local)
#   TESTFLAGS=...   options for the tests of make test, such as --skip NAME
#   LAYOUT=debian   mods-available and a2enmod; plain: a LoadModule line in httpd.conf (default: what is there)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := build
.PHONY: build built install uninstall deps demo test test-suite-in deb test-deb rpm test-rpm release test-long test-schedules test-third-party test-ansible test-tsan test-memcheck miri fuzz audit bench check clean help ready-ansible ready-bench ready-demo ready-package ready-test ready-third-party ready-check

CARGO ?= $(or $(shell command -v cargo),$(wildcard $(HOME)/.cargo/bin/cargo),cargo)
# APXS itself stays unset unless somebody sets it: cargo builds anew when the variable changes.
apxs := $(or $(APXS),$(shell command -v apxs || command -v apxs2),apxs)
target := $(or $(CARGO_TARGET_DIR),target)
host = $(shell rustc -vV | sed -n 's/^host: //p')
PREFIX ?= /usr/local
module := $(target)/release/mod_realdoc.so
tool := $(target)/release/realdoc
sources := Cargo.toml Cargo.lock build.rs src docroot apache-sys realdoc

build: ## Build target/release/mod_realdoc.so and target/release/realdoc (the default)
	@command -v $(firstword $(CARGO)) >/dev/null || { echo "cargo not found: install Rust from https://rustup.rs" >&2; exit 1; }
	$(CARGO) build --release -p mod_realdoc $(CARGOFLAGS)
	$(CARGO) build --release -p realdoc $(CARGOFLAGS)
	# Renamed into place, because a running server may have the old file mapped.
	if ! cmp -s $(target)/release/libmod_realdoc.so $(module); then
		cp $(target)/release/libmod_realdoc.so $(module).new
		mv $(module).new $(module)
	fi
	touch $(module) $(tool)

# sudo has no business in a user's build directory: it installs what `make` has built.
built:
	@for file in $(module) $(tool); do
		if ! [ -f $$file ] || [ -n "$$(find $(sources) -type f -newer $$file -print -quit)" ]; then
			echo "$$file is missing or older than its sources: run 'make' first, without sudo" >&2
			exit 1
		fi
	done

install: $(if $(SUDO_UID),built,build) ## Build and install: the module, enabled (apxs), and the tool (DESTDIR only stages files)
uninstall: ## Undo make install (with the same DESTDIR and PREFIX)
install uninstall:
	@APXS='$(apxs)' DESTDIR='$(DESTDIR)' LAYOUT='$(LAYOUT)' PREFIX='$(PREFIX)' MODULE='$(module)' TOOL='$(tool)' \
		packaging/install $@

deps: ## Install the Debian packages that are missing (as root or through sudo)
	@.ci/deps install

# What a target needs is installed before it is built; .NOTPARALLEL keeps that order.
ready-ansible ready-bench ready-check ready-demo ready-package ready-test ready-third-party:
	@.ci/deps for $(@:ready-%=%)

demo: ready-demo build ## Show the problem and the cure, then a deploy: private httpds under load while docroots flip
	@$(CARGO) run $(CARGOFLAGS) -p realdoc-tests --bin demo

# A shell's background jobs ignore Ctrl-C, those of nohup a hang-up, and so would what the tests stop by them.
# Two tests for each core, because most of them wait for a server most of the time.
test: ready-test build ## Run all tests: unit tests, and real servers on prefork, worker and event
	@packaging/check
	env --default-signal=HUP,INT,TERM RUST_TEST_THREADS="$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))}" \
		$(CARGO) test --workspace $(CARGOFLAGS) $(if $(TESTFLAGS),-- $(TESTFLAGS))

test-suite-in: ## Run make test in another Debian or Ubuntu, made from nothing (SUITE=trixie; as root, needs mmdebstrap)
	@.ci/suite '$(SUITE)'

deb: ready-package ## Build the Debian packages into target/packages/deb
	@packaging/build deb

test-deb: deb ## Check them with lintian; install, use and purge them in a fresh root (as root, needs mmdebstrap)
	@packaging/test-deb

rpm: ready-package ## Build the RPM packages into target/packages/rpm, from tarballs and without a network
	@packaging/build rpm

test-rpm: rpm ## Check what they hold, need and run, and with rpmlint
	@packaging/test-rpm

release: ## Check, test, build all that is released, and tag it (VERSION=0.1.0; DRY_RUN=1: do not tag)
	@packaging/release '$(VERSION)'

test-long: ready-test build ## Restart each MPM 200 times under load and flips, with the module and without (minutes)
	@$(CARGO) test $(CARGOFLAGS) -p realdoc-tests --test server -- --ignored --nocapture restart::

# make test runs these tests too, and they pass where their module is not installed. Here the line that says so is seen.
test-third-party: ready-third-party build ## Run the tests beside modules of others (mod_rpaf, mod_perl, mod_wsgi, mpm-itk and so on)
	@env --default-signal=HUP,INT,TERM $(CARGO) test $(CARGOFLAGS) -p realdoc-tests --test server -- --nocapture third_party::

# ansible-core and ansible-lint come from PyPI, into a virtual environment.
test-ansible: ready-ansible build ## Deploy to three sshds on loopback addresses with the Ansible collection, and lint it
	@if ! [ -x $(target)/ansible/bin/ansible-lint ]; then
		python3 -m venv $(target)/ansible
		$(target)/ansible/bin/pip install --quiet --disable-pip-version-check ansible-core ansible-lint
	fi
	packaging/test-ansible $(tool) $(target)/ansible

# A usual test run interrupts four times at most where there are too many schedules.
test-schedules: ## Run the cache through more schedules of a few threads than a usual test run (INTERRUPTIONS=6)
	@INTERRUPTIONS=$${INTERRUPTIONS:-6} $(CARGO) test $(CARGOFLAGS) --release -p docroot --test concurrency -- --nocapture --skip stress

# The standard library is not built for the sanitizer, which would need its source: see docroot/tests/tsan.supp.
# STRESS_SECONDS=60 stresses for longer. One test thread, because libtest would else start threads of its own.
test-tsan: ## Stress the cache under ThreadSanitizer (needs a nightly toolchain)
	@RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
	TSAN_OPTIONS="suppressions=$$PWD/docroot/tests/tsan.supp print_suppressions=1" \
	CARGO_TARGET_DIR='$(target)/tsan' STRESS_SECONDS=$${STRESS_SECONDS:-10} \
		$(CARGO) +nightly test $(CARGOFLAGS) -p docroot --test concurrency --target $(host) -- stress --nocapture --test-threads=1

# Every process of every server in these tests runs under valgrind, on prefork, worker and event. tests/README.md says
# which tests are left out, and why.
memcheck_skips := $(addprefix --skip , computed::absent_names computed::refused control:: cost:: deploy:: \
	failures::another_cause failures::removed failures::rm_then_ln freshness:: guard::outside hosts::many memory:: php::without symbols:: third_party::)

test-memcheck: ready-test ## Run the server tests under valgrind's memcheck (hours; MEMCHECK='guard:: ssi::event' chooses)
	@REALDOC_MEMCHECK=1 $(CARGO) test $(CARGOFLAGS) -p realdoc-tests --test server -- --nocapture --test-threads=2 $(memcheck_skips) $(MEMCHECK)

# Miri knows neither stat(2) nor fnmatch(3) nor coroutines: what needs them is left out in the tests.
miri: ## Run docroot's tests under Miri (needs a nightly toolchain with miri and rust-src)
	@if ! $(CARGO) +nightly miri --version >/dev/null 2>&1; then
		echo "NOT RUN: there is no Miri here: rustup +nightly component add miri rust-src" >&2
		exit $(if $(CI),1,0)
	fi
	MIRIFLAGS='-Zmiri-disable-isolation' CARGO_TARGET_DIR='$(target)/miri' \
		$(CARGO) +nightly miri test $(CARGOFLAGS) -p docroot --lib --test cache

FUZZ_SECONDS ?= 30

# With AddressSanitizer. No leaks are looked for, which needs ptrace(2), and containers have none.
# What it finds is kept in fuzz/artifacts: a case that shows a fault belongs into fuzz/found, which every test run tries.
fuzz: ## Fuzz each target for FUZZ_SECONDS (needs a nightly toolchain and cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz not found: cargo install cargo-fuzz" >&2; exit 1; }
	$(CARGO) +nightly fuzz build
	for name in resolve realpath reroot directives; do
		echo "fuzzing $$name for $(FUZZ_SECONDS) s"
		mkdir -p fuzz/{corpus,found}/$$name
		$(CARGO) +nightly fuzz run $$name fuzz/{corpus,seeds,found}/$$name -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=512 -timeout=10 -detect_leaks=0 -print_final_stats=1
	done

audit: ## Check licences, sources and duplicates of all dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny not found: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) fetch --locked --quiet
	$(CARGO) deny --locked --offline check bans licenses sources

# PEER=/path/to/other.so adds another module of the same symbol, PEER_CONF its directives.
# BENCH='counted together speed hosts' chooses parts, BENCH_ROUNDS how often each speed is measured.
bench: ready-bench build ## Measure what a request costs, beside httpd alone and beside another module (PEER=...)
	@$(if $(filter cache,$(BENCH)),,$(CARGO) run $(CARGOFLAGS) -p realdoc-tests --bin bench -- $(BENCH))
	$(if $(filter-out cache,$(BENCH)),,$(CARGO) bench $(CARGOFLAGS) -p docroot --bench cache)

check: ready-check ## Check format, imports, lints and documentation
	@$(CARGO) fmt --all --check
	packaging/check-imports --test
	packaging/check-imports
	packaging/check-documents
	$(CARGO) clippy --workspace --all-targets $(CARGOFLAGS) -- -D warnings
	$(CARGO) clippy -p mod_realdoc --all-targets --features fault-injection $(CARGOFLAGS) -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items $(CARGOFLAGS)

clean: ## Remove all that was built
	@$(CARGO) clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
