# A thin front for cargo. `make` alone lists what there is.

CARGO ?= cargo

# The control plane is built before cargo starts, never beside it: both would use
# every core, and neither would end sooner.
.NOTPARALLEL:
.PHONY: help demo test matrix mutants lint generate control-plane bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: control-plane ## See everything once, on a throw-away control plane (KEEP=1 to explore afterwards)
	@echo "demo: compiling the operator, the simulator and the demo (the first time: a few minutes)"
	@$(CARGO) build --locked --workspace --bins --examples
	@$(CARGO) run --quiet --locked --example demo

# Most tests wait for other processes, so more of them than there are cores run at once.
test: export RUST_TEST_THREADS ?= 8
test: control-plane ## Run every test
	$(CARGO) test --locked --workspace --no-run
	$(CARGO) test --locked --workspace --no-fail-fast

matrix: control-plane ## Ten thousand simulated worlds; a reset interrupted at every moment of every step; ten thousand resources (many minutes; `make test` runs some of it)
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test simulation -- --nocapture
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test models -- --nocapture --test-threads 1
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test cluster reset_crashes:: -- --nocapture
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test cluster inputs::crowd:: -- --nocapture
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test cluster declarations:: -- --nocapture
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --workspace --test clients arbitrary:: -- --nocapture

mutants: ## Change decisions, protocol and clients here and there: do the tests notice? (up to an hour; SEED=n for other places)
	tests/mutants $(SEED)

lint: ## Check format, lints and, where cargo-deny is installed, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then \
		echo "$(CARGO) deny check bans licenses sources"; \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "lint: cargo-deny is not installed; tests/project/dependencies.rs holds the rules of deny.toml too, and says less"; \
		echo "lint: to have it: cargo install --locked cargo-deny"; \
	fi

generate: ## Write crds/ and the generated parts of docs/
	GENERATE=1 $(CARGO) test --locked --workspace --test project generated::

control-plane: ## Find or build etcd, kube-apiserver and kubectl (about six minutes, once)
	@echo "control plane: looking for etcd, kube-apiserver and kubectl"
	@folder=$$(tests/control-plane/build) && echo "control plane: $$folder"

bench: ## Measure the decisions over a fleet of a thousand connections
	$(CARGO) bench --locked --package dualwrite-plan --bench fleet -- --warm-up-time 1 --measurement-time 5
