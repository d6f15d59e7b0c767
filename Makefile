# Entry points for people and for continuous integration; `make help` lists them.
#
#   CARGO=...       another cargo                     APXS=...     another httpd's apxs
#   CARGOFLAGS=...  options for cargo (--locked)      DESTDIR=...  stage an installation below this directory
#   LAYOUT=debian   mods-available and a2enmod; plain: a LoadModule line in httpd.conf (default: what is there)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := build
.PHONY: build built install uninstall deps demo test check clean help ready-demo ready-test ready-check

CARGO ?= $(or $(shell command -v cargo),$(wildcard $(HOME)/.cargo/bin/cargo),cargo)
# APXS itself stays unset unless somebody sets it: cargo builds anew when the variable changes.
apxs := $(or $(APXS),$(shell command -v apxs || command -v apxs2),apxs)
target := $(or $(CARGO_TARGET_DIR),target)
module := $(target)/release/mod_realdoc.so
sources := Cargo.toml Cargo.lock build.rs src docroot apache-sys

build: ## Build target/release/mod_realdoc.so (the default)
	@command -v $(firstword $(CARGO)) >/dev/null || { echo "cargo not found: install Rust from https://rustup.rs" >&2; exit 1; }
	$(CARGO) build --release -p mod_realdoc $(CARGOFLAGS)
	# Renamed into place, because a running server may have the old file mapped.
	if ! cmp -s $(target)/release/libmod_realdoc.so $(module); then
		cp $(target)/release/libmod_realdoc.so $(module).new
		mv $(module).new $(module)
	fi
	touch $(module)

# sudo has no business in a user's build directory: it installs what `make` has built.
built:
	@if ! [ -f $(module) ] || [ -n "$$(find $(sources) -type f -newer $(module) -print -quit)" ]; then
		echo "$(module) is missing or older than its sources: run 'make' first, without sudo" >&2
		exit 1
	fi

# Where httpd has its modules and its configuration, and which layout that has.
define ask_apxs
if ! libexecdir=$$($(apxs) -q LIBEXECDIR) || ! sysconfdir=$$($(apxs) -q SYSCONFDIR); then
	echo "apxs not found: install httpd's development files (Debian: apache2-dev, Fedora: httpd-devel) or set APXS" >&2
	exit 1
fi
available=$$sysconfdir/mods-available
enabled=$$sysconfdir/mods-enabled
layout=$(LAYOUT)
if [ -z "$$layout" ]; then
	if [ -d "$$available" ]; then layout=debian; else layout=plain; fi
fi
# Debian's tools are not in every root's PATH, and apxs calls them.
PATH=$$PATH:/usr/sbin:/sbin
endef

# Below the given root, on Debian's layout: what says how to load the module, and the defaults to edit.
define install_conf
install -d "$$root$$available"
sed "s|/usr/lib/apache2/modules|$$libexecdir|" conf/realdoc.load > "$$root$$available/realdoc.load"
chmod 644 "$$root$$available/realdoc.load"
# An operator's own settings stay.
[ -e "$$root$$available/realdoc.conf" ] || install -m 644 conf/realdoc.conf "$$root$$available/realdoc.conf"
endef

install: $(if $(SUDO_UID),built,build) ## Build, install and enable the module (apxs; DESTDIR only stages files)
	@$(ask_apxs)
	root='$(DESTDIR)'
	if [ -n "$$root" ]; then
		install -D -m 644 $(module) "$$root$$libexecdir/mod_realdoc.so"
		if [ $$layout = debian ]; then
			$(install_conf)
		fi
		exit
	fi
	if ! [ -w "$$libexecdir" ]; then
		echo "cannot write to $$libexecdir: run 'sudo make install'" >&2
		exit 1
	fi
	if [ $$layout = debian ]; then
		# First, so that enabling finds both files.
		$(install_conf)
		if command -v a2enmod >/dev/null; then
			$(apxs) -i -a -n realdoc $(module)
			# apxs has written the .load file itself and kept ours.
			mv "$$available/realdoc.load.bak~" "$$available/realdoc.load"
		else
			$(apxs) -i -n realdoc $(module)
			echo "installed but not enabled, as there is no a2enmod: load $$available/realdoc.load with Include in httpd's configuration"
		fi
	else
		$(apxs) -i -n realdoc $(module)
		$(apxs) -e -a -n realdoc $(module) ||
			echo "installed but not enabled: add this line to httpd's configuration: LoadModule realdoc_module $$libexecdir/mod_realdoc.so"
	fi

uninstall: ## Undo make install (with the same DESTDIR)
	@$(ask_apxs)
	root='$(DESTDIR)'
	if [ -z "$$root" ] && ! [ -w "$$libexecdir" ]; then
		echo "cannot write to $$libexecdir: run 'sudo make uninstall'" >&2
		exit 1
	fi
	if [ $$layout = debian ]; then
		if [ -z "$$root" ] && [ -e "$$enabled/realdoc.load" ] && command -v a2dismod >/dev/null; then
			a2dismod -q -p realdoc
		fi
		rm -f "$$root$$available/realdoc.load" "$$root$$available/realdoc.load.bak~"
		if cmp -s conf/realdoc.conf "$$root$$available/realdoc.conf"; then
			rm "$$root$$available/realdoc.conf"
		elif [ -e "$$root$$available/realdoc.conf" ]; then
			echo "kept $$root$$available/realdoc.conf, which was edited"
		fi
	elif [ -z "$$root" ]; then
		conf=$$sysconfdir/$$($(apxs) -q PROGNAME).conf
		line='^[[:space:]]*LoadModule[[:space:]]\+realdoc_module[[:space:]]'
		if grep -qs "$$line" "$$conf"; then
			sed -i --follow-symlinks "/$$line/d" "$$conf"
		fi
	fi
	rm -f "$$root$$libexecdir/mod_realdoc.so"
	if [ -n "$$root" ]; then
		# Directories that are empty now were made for these files.
		for directory in "$$libexecdir" "$$available"; do
			[ ! -d "$$root$$directory" ] || (cd "$$root" && rmdir -p --ignore-fail-on-non-empty ".$$directory" 2>/dev/null) || true
		done
	fi

deps: ## Install the Debian packages that are missing (as root or through sudo)
	@.ci/deps install

# What a target needs is installed before it is built; .NOTPARALLEL keeps that order.
ready-demo ready-test ready-check:
	@.ci/deps for $(@:ready-%=%)

demo: ready-demo build ## Show the problem and the cure: a private httpd under load while its docroot flips
	@$(CARGO) run $(CARGOFLAGS) -p realdoc-tests --bin demo

test: ready-test build ## Run all tests: unit tests, and real servers on prefork, worker and event
	@$(CARGO) test --workspace $(CARGOFLAGS)

check: ready-check ## Check format, lints and documentation
	@$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(CARGOFLAGS) -- -D warnings
	$(CARGO) clippy -p mod_realdoc --all-targets --features fault-injection $(CARGOFLAGS) -- -D warnings
	# Not apache-sys: its documentation is the comments in httpd's headers, which are no Markdown.
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --exclude apache-sys --no-deps $(CARGOFLAGS)

clean: ## Remove all that was built
	@$(CARGO) clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
