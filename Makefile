# Heapster's tasks; `make` lists them. CI runs `make ci`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help run test test-setup fmt fmt-check lint doc tidy ci bench bench-kubernetes bench-programs bench-sinks assignment fuzz torture demo docs proto-release install clean

RUST_FILES = $(shell git ls-files --cached --others --exclude-standard '*.rs')

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Watch this machine: heapster standalone
	cargo run --release -- standalone

test: test-setup ## Install what the tests need and run them all
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --workspace && cargo test --workspace --doc --quiet; \
	else \
	    cargo test --workspace; \
	fi

test-setup: ## Install the real peers that tests start (Debian packages, and Python's for stand-ins)
	@tools/test-setup
	@tools/test-python

fmt: ## Format the code
	@rustfmt --edition 2024 $(RUST_FILES)

fmt-check: ## Check the format, modules that macros declare included
	@rustfmt --edition 2024 --check $(RUST_FILES)

lint: ## Clippy, warnings denied
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

tidy: ## Check the tree's own rules (arrows, headers, links) and what is built in (licences, bans)
	cargo test --quiet --package heapster-testkit --test tidy --test dependencies

docs: ## Write the generated parts of docs/ anew
	HEAPSTER_UPDATE_DOCS=1 cargo test --quiet --package heapster --test docs

proto-release: ## Make additions to the protocol part of what is held, after their review
	HEAPSTER_PROTO_RELEASE=1 cargo test --quiet --package heapster-proto --test released

ci: fmt-check lint doc test ## What CI runs

bench: bench-programs ## Whole-program figures on simulated hosts, into docs/benchmarks.md
	target/dist/heapster-bench --write docs/benchmarks.md

bench-kubernetes: bench-programs ## The same on a simulated Kubernetes cluster of up to 5,000 nodes
	target/dist/heapster-bench --kubernetes --hosts 1000,5000 --dead 10% --write docs/benchmarks.md

bench-sinks: ## What each sink's encoder does in a second, and what a sink that hangs costs the others
	HEAPSTER_BENCH_WRITE=$(CURDIR)/docs/benchmarks.md cargo bench --profile dist --package heapster-master --bench encoders
	HEAPSTER_BENCH_WRITE=$(CURDIR)/docs/benchmarks.md cargo bench --profile dist --package heapster-master --bench isolation

bench-programs:
	cargo build --profile dist --package heapster-master --package heapster-buddy --package heapster-testkit

assignment: ## Who polls 1,000 hosts as buddies die, join and are cut off, with the released programs
	cargo build --profile dist --package heapster
	HEAPSTER_TEST_PROGRAMS=$(CURDIR)/target/dist HEAPSTER_ASSIGNMENT_TICK_MS=15000 \
	    cargo test --package heapster --test network -- --exact --nocapture \
	    assignment::every_host_is_polled_whoever_dies_joins_or_is_cut_off

fuzz: ## Try parsers on mutated answers; TARGET=one of them, TIME=each, LIBFUZZER=1 to see what inputs reach
	@if [ -n "$(LIBFUZZER)" ]; then \
	    tools/libfuzzer "$(TARGET)" "$(or $(TIME),60)"; \
	else \
	    cargo run --quiet --package heapster-fuzz -- --target "$(TARGET)" --time "$(or $(TIME),60s)" $(if $(SEED),--seed $(SEED)); \
	fi

torture: bench-programs ## Hundreds of faults between hosts and databases; SEED=, FAULTS=, SPOOL=memory or disk
	target/dist/heapster-torture --faults "$(or $(FAULTS),300)" --spool "$(or $(SPOOL),memory)" \
	    $(if $(SEED),--seed $(SEED)) --write docs/reliability.md

demo: ## A simulated cluster of 20 hosts on loopback, watched by heapster standalone
	cargo build --release --package heapster --package heapster-testkit
	deploy/demo.sh

install: ## Install the binary for this user
	cargo install --path cli --locked

clean: ## Remove what was built
	cargo clean
