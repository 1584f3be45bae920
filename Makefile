# What a developer runs. `make` alone lists it.

SHELL := /bin/bash
# Where rustup puts cargo; a shell that was open before rustup ran does not know it.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# A migrated throwaway database for the queries to be checked against.
WITH_SCHEMA := scripts/with-postgres scripts/with-schema
# STRICT=1, as in CI: a tool that is missing fails the check, where otherwise it is passed over.
STRICT ?=
# $(call or_pass_over,TOOL,WHAT): what to do where a tool is missing.
or_pass_over = echo '$(1) is not here; $(2)'; test -z '$(STRICT)'

# What `make fuzz` tries, and how often.
TARGET ?= decode
RUNS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help prerequisites run test test-postgres test-page test-stack deb secrets dashboards page check-page faults bench bench-answer bench-flood bench-read bench-dashboards fuzz openapi metrics-catalog sql-views schemathesis sqlx-prepare
.PHONY: check check-format check-lints check-docs check-licences check-queries

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites: ## Check what building and testing need; install it where that can be done
	@scripts/prerequisites

run: prerequisites ## Build it and run it, with its own PostgreSQL under ./data
	cargo build --release --locked
	$(TARGET_DIR)/release/verbatim serve

test: prerequisites ## Run every test, with a throwaway PostgreSQL
	@scripts/prerequisites --tests
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; scripts/with-postgres cargo nextest run --locked; \
	else \
		set -x; scripts/with-postgres cargo test --locked; \
	fi
	@$(MAKE) --no-print-directory test-page
	@$(MAKE) --no-print-directory test-stack

# Major versions that `make test-postgres` runs on, and with QUICK=1 what differs first if anything does.
MAJORS ?= 15 17 18
QUICK ?=
QUICK_TESTS := test(/^(api::|search|erasure::|projection::|webhook::|corpus::|facts::|embedded::|readers::|server_files::|start::|retention::)/) - test(/200_000|openapi/)

test-postgres: prerequisites ## Run the integration tests on PostgreSQL 15, 17 and 18, one after the other (MAJORS="17 18", QUICK=1)
	@set -e; for major in $(MAJORS); do \
		echo "=== PostgreSQL $$major"; \
		POSTGRES_MAJOR=$$major scripts/with-postgres \
			cargo nextest run --locked --test it $(if $(QUICK),-E '$(QUICK_TESTS)'); \
	done

# The program is the one that the tests above have built: nothing is compiled again.
test-page: prerequisites ## … only the page, in Chromium (ARGS="keyboard --headed")
	cargo test --locked --no-run --test it
	scripts/page-tests $(ARGS)

CARGO_DEB_VERSION := 3.8.0
# Where Cargo.toml expects them, whichever folder cargo builds in.
PACKAGING := target/packaging

# Manual pages and completions come from the program, without what the environment here sets.
deb: prerequisites ## Build the Debian package into target/debian
	cargo build --release --locked
	rm -rf $(PACKAGING) && mkdir -p $(PACKAGING)/bash $(PACKAGING)/zsh $(PACKAGING)/fish
	env -i $(TARGET_DIR)/release/verbatim manual $(PACKAGING)/man
	env -i $(TARGET_DIR)/release/verbatim completions bash >$(PACKAGING)/bash/verbatim
	env -i $(TARGET_DIR)/release/verbatim completions zsh >$(PACKAGING)/zsh/_verbatim
	env -i $(TARGET_DIR)/release/verbatim completions fish >$(PACKAGING)/fish/verbatim.fish
	[[ "$$(cargo deb --version 2>/dev/null)" == $(CARGO_DEB_VERSION) ]] || \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		cargo install --locked cargo-deb --version $(CARGO_DEB_VERSION)
	cargo deb --no-build --locked --strip

# What the tests have built is tested.
test-stack: prerequisites ## … only what runs around it: dashboards, rules, compose, Kubernetes, Caddy (PARTS="queries caddy")
	cargo test --locked --no-run --test it
	STRICT=$(STRICT) VERBATIM=$(TARGET_DIR)/debug/verbatim scripts/stack-tests $(PARTS)

tests/stack/node_modules/.package-lock.json: tests/stack/package-lock.json
	cd tests/stack && npm ci --no-fund --no-audit

secrets: ## Make .env for docker-compose.yml, with secrets of its own (DOMAIN=verbatim.example.com)
	@DOMAIN='$(DOMAIN)' scripts/make-secrets

dashboards: ## Bring deploy/grafana/dashboards up to date after a panel or the metrics catalogue has changed
	node deploy/grafana/generate.mjs

# Installed again only where the lock file has changed.
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit

page: web/node_modules/.package-lock.json ## Build the page into web/dist, from which the binary takes it
	cd web && npm run build

check-page: web/node_modules/.package-lock.json ## Check the page: types, lints, format, tests, size, web/dist
	cd web && npm run check

# The short form is for every submission, so it takes the build that the tests have made; figures of
# times mean something in a release build only.
FAULTS_BUILD := $(if $(SHORT),,--release)
FAULTS_OPTIONS = $(if $(SHORT),--short) $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
	$(if $(HOLD),--hold $(HOLD)) $(if $(MIX),--mix $(MIX)) $(if $(SECONDS),--seconds $(SECONDS)) \
	$(if $(FOLDER),--folder $(FOLDER)) $(if $(KEEP),--keep)

faults: prerequisites ## Lose nothing, whatever fails (SHORT=1; SCENARIOS="kill …"; MIX=20 SECONDS=60; SEED=…)
	cargo test --locked $(FAULTS_BUILD) --test faults -- run $(strip $(SCENARIOS) $(FAULTS_OPTIONS))

check: check-format check-lints check-docs check-licences check-queries ## Run what CI runs before the tests

check-format: prerequisites ## … the format
	cargo fmt --check

check-lints: prerequisites ## … the lints
	cargo clippy --locked --all-targets -- -D warnings

# With private items documented, too, a link to one is no fault.
check-docs: prerequisites ## … the documentation of the code
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --locked --no-deps --document-private-items

check-licences: prerequisites ## … licences, bans and sources of what is built in (needs cargo-deny)
	@if cargo deny --version >/dev/null 2>&1; then \
		set -x; cargo deny --locked check --hide-inclusion-graph bans licenses sources; \
	else \
		$(call or_pass_over,cargo-deny,licences were not checked); \
	fi

check-queries: prerequisites ## … the queries, against the schema (needs sqlx-cli)
	@if cargo sqlx --version >/dev/null 2>&1; then \
		set -x; $(WITH_SCHEMA) cargo sqlx prepare --check -- --locked --all-targets; \
	else \
		$(call or_pass_over,sqlx-cli,queries were not checked against the schema); \
	fi

bench: prerequisites ## Measure the way in
	cargo bench --locked --bench ingest

bench-answer: prerequisites ## Measure what PostgreSQL at work does to the time of an answer (ARGS="--rate 1000 --rounds 3")
	cargo bench --locked --bench answer -- $(ARGS)

# It takes about 6 GB of disk.
bench-read: prerequisites ## Measure the way out on 5 million messages, search included (BENCH_MESSAGES, BENCH_SESSIONS)
	POSTGRES_OPTIONS='-c shared_buffers=2GB -c work_mem=32MB -c max_wal_size=2GB -c random_page_cost=1.1' \
		scripts/with-postgres cargo bench --locked --bench read

# It takes about 3 GB of disk.
bench-dashboards: prerequisites tests/stack/node_modules/.package-lock.json ## Measure every query of the dashboards on 5 million messages (MESSAGES, DAYS, AGENTS)
	cargo build --locked
	POSTGRES_OPTIONS='-c shared_buffers=1GB -c work_mem=32MB -c max_wal_size=2GB -c random_page_cost=1.1' \
		VERBATIM=$(TARGET_DIR)/debug/verbatim scripts/with-postgres node tests/stack/measure.mjs

bench-flood: prerequisites ## Measure what a flood of wrong signatures does to good deliveries
	cargo bench --locked --bench flood

# Without a sanitizer: there is no unsafe code to find fault with, and it is several times as quick.
# What a run finds new goes to fuzz/target/corpus, where the next one begins.
fuzz: prerequisites ## Fuzz what reads strangers' bytes: TARGET=decode|credentials|cursor|inbox_record|inbox_salvage RUNS=1000000
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo 'This needs cargo-fuzz, and a C++ compiler: cargo install --locked cargo-fuzz'; \
		exit 1; \
	}
	mkdir -p fuzz/target/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none --debug-assertions $(TARGET) \
		fuzz/target/corpus/$(TARGET) fuzz/corpus/$(TARGET) -- \
		-runs=$(RUNS) -max_len=2048 -timeout=10 -print_final_stats=1 \
		$(addprefix -dict=,$(wildcard fuzz/$(TARGET).dict))

openapi: prerequisites ## Bring openapi.json up to date after a route or its documentation has changed
	RENEW_OPENAPI=1 cargo test --locked --test it openapi::the_committed_document

metrics-catalog: ## Bring docs/reference/metrics-catalog.md up to date after a metric has changed
	RENEW_METRICS_CATALOG=1 cargo test --locked --test it analytics::the_page

sql-views: prerequisites ## Bring docs/reference/sql-views.md up to date after a view has changed
	RENEW_SQL_VIEWS=1 scripts/with-postgres cargo test --locked --test it api::sql_pages::the_reference

schemathesis: prerequisites ## Hold the running service against its document (EXAMPLES=200; needs schemathesis)
	cargo build --locked
	scripts/schemathesis

sqlx-prepare: prerequisites ## Bring .sqlx up to date after a query or a migration has changed
	@cargo sqlx --version >/dev/null 2>&1 || { \
		echo 'This needs sqlx-cli: cargo install --locked sqlx-cli --no-default-features --features postgres,rustls'; \
		exit 1; \
	}
	$(WITH_SCHEMA) cargo sqlx prepare -- --all-targets
