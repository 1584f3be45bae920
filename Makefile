# Commands for development. `make` without a target lists them.

SHELL := /bin/bash
# rustup's folder of cargo, for shells that were opened before rustup ran.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# A migrated throwaway database to check queries against.
WITH_SCHEMA := scripts/with-postgres scripts/with-schema
# With STRICT=1, as in CI, a missing tool fails the check. Otherwise the check is skipped.
STRICT ?=
# $(call skip_or_fail,TOOL,CONSEQUENCE): reports a missing tool, and fails with STRICT=1.
skip_or_fail = echo '$(1) is missing; $(2)'; test -z '$(STRICT)'

# Target and number of inputs of `make fuzz`.
TARGET ?= decode
RUNS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help prerequisites run test test-postgres test-page test-stack deb secrets dashboards page check-page faults bench bench-answer bench-flood bench-read bench-dashboards fuzz openapi metrics-catalog sql-views schemathesis sqlx-prepare
.PHONY: check check-format check-lints check-docs check-licences check-queries

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites: ## Check prerequisites of building and testing, and install missing ones if possible
	@scripts/prerequisites

run: prerequisites ## Build and run the service, with a private PostgreSQL under ./data
	@test -x $(TARGET_DIR)/quick/verbatim || \
		echo 'building Verbatim and its libraries: once, about 10 minutes on two cores'
	cargo build --profile quick --locked
	$(TARGET_DIR)/quick/verbatim serve

test: prerequisites ## Run every test, with a throwaway PostgreSQL
	@scripts/prerequisites --tests
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; scripts/with-postgres cargo nextest run --locked; \
	else \
		set -x; scripts/with-postgres cargo test --locked; \
	fi
	@$(MAKE) --no-print-directory test-page
	@$(MAKE) --no-print-directory test-stack

# Major versions for `make test-postgres`. QUICK=1 selects the tests that depend most on the version.
MAJORS ?= 15 17 18
QUICK ?=
QUICK_TESTS := test(/^(api::|search|erasure::|projection::|webhook::|corpus::|facts::|embedded::|readers::|server_files::|start::|retention::)/) - test(/200_000|openapi/)

test-postgres: prerequisites ## Run the integration tests on PostgreSQL 15, 17 and 18, one after the other (MAJORS="17 18", QUICK=1)
	@set -e; for major in $(MAJORS); do \
		echo "=== PostgreSQL $$major"; \
		POSTGRES_MAJOR=$$major scripts/with-postgres \
			cargo nextest run --locked --test it $(if $(QUICK),-E '$(QUICK_TESTS)'); \
	done

# Uses the program that the tests above have built.
test-page: prerequisites ## … only the page, in Chromium (ARGS="keyboard --headed")
	cargo test --locked --no-run --test it
	scripts/page-tests $(ARGS)

CARGO_DEB_VERSION := 3.8.0
# The folder that Cargo.toml names, also with another target folder.
PACKAGING := target/packaging

# Manual pages and completions are printed by the program, in an empty environment.
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

# Uses the program that the tests have built.
test-stack: prerequisites ## … only deploy/: dashboards, rules, compose, Kubernetes, Caddy (PARTS="queries caddy")
	cargo test --locked --no-run --test it
	STRICT=$(STRICT) VERBATIM=$(TARGET_DIR)/debug/verbatim scripts/stack-tests $(PARTS)

tests/stack/node_modules/.package-lock.json: tests/stack/package-lock.json
	cd tests/stack && npm ci --no-fund --no-audit

secrets: ## Create .env for docker-compose.yml, with new secrets (DOMAIN=verbatim.example.com)
	@DOMAIN='$(DOMAIN)' scripts/make-secrets

dashboards: ## Update deploy/grafana/dashboards after a change of a panel or the metrics catalogue
	node deploy/grafana/generate.mjs

# Installs again only after a change of the lock file.
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit

page: web/node_modules/.package-lock.json ## Build the page into web/dist, which is built into the binary
	cd web && npm run build

check-page: web/node_modules/.package-lock.json ## Check the page: types, lints, format, tests, size, web/dist
	cd web && npm run check

# The short form runs for every submission, so it uses the debug build of the tests. Measured times
# are meaningful in a release build only.
FAULTS_BUILD := $(if $(SHORT),,--release)
FAULTS_OPTIONS = $(if $(SHORT),--short) $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
	$(if $(HOLD),--hold $(HOLD)) $(if $(MIX),--mix $(MIX)) $(if $(SECONDS),--seconds $(SECONDS)) \
	$(if $(FOLDER),--folder $(FOLDER)) $(if $(KEEP),--keep)

faults: prerequisites ## Run the fault suite (SHORT=1; SCENARIOS="kill …"; MIX=20 SECONDS=60; SEED=…)
	cargo test --locked $(FAULTS_BUILD) --test faults -- run $(strip $(SCENARIOS) $(FAULTS_OPTIONS))

check: check-format check-lints check-docs check-licences check-queries ## Run the checks that CI runs before the tests

check-format: prerequisites ## … the format
	cargo fmt --check

check-lints: prerequisites ## … the lints
	cargo clippy --locked --all-targets -- -D warnings
	cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

# Links to private items are allowed, since those are documented too.
check-docs: prerequisites ## … the documentation of the code
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --locked --no-deps --document-private-items

check-licences: prerequisites ## … licences, bans and sources of dependencies (needs cargo-deny)
	@if cargo deny --version >/dev/null 2>&1; then \
		set -x; cargo deny --locked check --hide-inclusion-graph bans licenses sources; \
	else \
		$(call skip_or_fail,cargo-deny,licences were not checked); \
	fi

check-queries: prerequisites ## … the queries against the schema (needs sqlx-cli)
	@if cargo sqlx --version >/dev/null 2>&1; then \
		set -x; $(WITH_SCHEMA) cargo sqlx prepare --check -- --locked --all-targets; \
	else \
		$(call skip_or_fail,sqlx-cli,queries were not checked against the schema); \
	fi

bench: prerequisites ## Measure ingest
	cargo bench --locked --bench ingest

bench-answer: prerequisites ## Measure answer times while PostgreSQL is busy (ARGS="--rate 1000 --rounds 3")
	cargo bench --locked --bench answer -- $(ARGS)

# Needs about 6 GB of disk.
bench-read: prerequisites ## Measure the read API and search on 5 million messages (BENCH_MESSAGES, BENCH_SESSIONS)
	POSTGRES_OPTIONS='-c shared_buffers=2GB -c work_mem=32MB -c max_wal_size=2GB -c random_page_cost=1.1' \
		scripts/with-postgres cargo bench --locked --bench read

# Needs about 3 GB of disk.
bench-dashboards: prerequisites tests/stack/node_modules/.package-lock.json ## Measure every query of the dashboards on 5 million messages (MESSAGES, DAYS, AGENTS)
	cargo build --locked
	POSTGRES_OPTIONS='-c shared_buffers=1GB -c work_mem=32MB -c max_wal_size=2GB -c random_page_cost=1.1' \
		VERBATIM=$(TARGET_DIR)/debug/verbatim scripts/with-postgres node tests/stack/measure.mjs

bench-flood: prerequisites ## Measure deliveries during a flood of wrong signatures
	cargo bench --locked --bench flood

# Without a sanitizer: there is no unsafe code, and fuzzing is several times as fast.
# New inputs of a run are stored in fuzz/target/corpus, where the next run starts.
fuzz: prerequisites ## Fuzz parsers of untrusted bytes: TARGET=decode|credentials|cursor|inbox_record|inbox_salvage RUNS=1000000
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo 'This needs cargo-fuzz, and a C++ compiler: cargo install --locked cargo-fuzz'; \
		exit 1; \
	}
	mkdir -p fuzz/target/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none --debug-assertions $(TARGET) \
		fuzz/target/corpus/$(TARGET) fuzz/corpus/$(TARGET) -- \
		-runs=$(RUNS) -max_len=2048 -timeout=10 -print_final_stats=1 \
		$(addprefix -dict=,$(wildcard fuzz/$(TARGET).dict))

openapi: prerequisites ## Update openapi.json after a change of a route or its documentation
	RENEW_OPENAPI=1 cargo test --locked --test it openapi::committed_document

metrics-catalog: ## Update docs/reference/metrics-catalog.md after a change of a metric
	RENEW_METRICS_CATALOG=1 cargo test --locked --test it analytics::page_of_the_documentation

sql-views: prerequisites ## Update docs/reference/sql-views.md after a change of a view
	RENEW_SQL_VIEWS=1 scripts/with-postgres cargo test --locked --test it api::sql_pages::reference_of_the_views

schemathesis: prerequisites ## Test the running service against openapi.json (EXAMPLES=200; needs schemathesis)
	cargo build --locked
	scripts/schemathesis

sqlx-prepare: prerequisites ## Update .sqlx after a change of a query or a migration
	@cargo sqlx --version >/dev/null 2>&1 || { \
		echo 'This needs sqlx-cli: cargo install --locked sqlx-cli --no-default-features --features postgres,rustls'; \
		exit 1; \
	}
	$(WITH_SCHEMA) cargo sqlx prepare -- --all-targets
