# What a developer runs. `make` alone lists it.

SHELL := /bin/bash
# Where rustup puts cargo; a shell that was open before rustup ran does not know it.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# A migrated throwaway database for the queries to be checked against.
WITH_SCHEMA := scripts/with-postgres scripts/with-schema

.DEFAULT_GOAL := help
.PHONY: help prerequisites run test check bench sqlx-prepare

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites: ## Check what building and testing need; install it where that can be done
	@scripts/prerequisites

run: prerequisites ## Build it and run it, with its own PostgreSQL under ./data
	cargo build --release --locked
	$(TARGET_DIR)/release/verbatim serve

test: prerequisites ## Run every test, with a throwaway PostgreSQL
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; scripts/with-postgres cargo nextest run --locked; \
	else \
		set -x; scripts/with-postgres cargo test --locked; \
	fi

check: prerequisites ## Run what CI runs before the tests: format, lints, docs, licences, queries
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then \
		set -x; cargo deny check bans licenses sources; \
	else \
		echo 'cargo-deny is not here; licences were not checked'; \
	fi
	@if cargo sqlx --version >/dev/null 2>&1; then \
		set -x; $(WITH_SCHEMA) cargo sqlx prepare --check -- --all-targets; \
	else \
		echo 'sqlx-cli is not here; queries were not checked against the schema'; \
	fi

bench: prerequisites ## Measure the way in
	cargo bench --locked --bench ingest

sqlx-prepare: prerequisites ## Bring .sqlx up to date after a query or a migration has changed
	@cargo sqlx --version >/dev/null 2>&1 || { \
		echo 'This needs sqlx-cli: cargo install --locked sqlx-cli --no-default-features --features postgres,rustls'; \
		exit 1; \
	}
	$(WITH_SCHEMA) cargo sqlx prepare -- --all-targets
