# A thin front for cargo. `make` alone lists what there is.

CARGO ?= cargo

# The control plane is built before cargo starts, never beside it: both would use
# every core, and neither would end sooner.
.NOTPARALLEL:
.PHONY: help demo test matrix lint generate control-plane bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: control-plane ## See everything once, on a throw-away control plane (KEEP=1 to explore afterwards)
	@echo "demo: compiling the operator, the simulator and the demo (the first time: a few minutes)"
	@$(CARGO) build --locked --workspace --bins --examples
	@$(CARGO) run --quiet --locked --example demo

# Most tests wait for other processes. So more of them than there are cores run at
# once, in two halves side by side, each with a control plane of its own. What the
# second half says is shown when both are over.
TESTS := $(notdir $(basename $(wildcard tests/*.rs)) $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs)))
FIRST := $(filter $(foreach letter,a c d f i m p,cluster_$(letter)%),$(TESTS))
SECOND := $(filter-out $(FIRST),$(TESTS))
test: export RUST_TEST_THREADS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
test: control-plane ## Run every test
	$(CARGO) test --locked --no-run
	@log=target/second-half.log; \
	{ $(CARGO) test --locked --no-fail-fast --lib --bins $(SECOND:%=--test %) && $(CARGO) test --locked --doc; } >$$log 2>&1 & second=$$!; \
	$(CARGO) test --locked --no-fail-fast $(FIRST:%=--test %); first=$$?; \
	wait $$second; second=$$?; \
	cat $$log; \
	echo "test: first half: exit code $$first, second half: exit code $$second"; \
	[ $$first -eq 0 ] && [ $$second -eq 0 ]

matrix: control-plane ## Interrupt a reset at every moment of every step; ten thousand resources (many minutes; `make test` runs some of it)
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --test cluster_reset_crashes -- --nocapture
	DUALWRITE_MATRIX=1 $(CARGO) test --locked --test cluster_inputs crowd -- --nocapture

lint: ## Check format, lints and, where cargo-deny is installed, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then \
		echo "$(CARGO) deny check bans licenses sources"; \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "lint: cargo-deny is not installed; tests/dependencies.rs holds the rules of deny.toml too, and says less"; \
		echo "lint: to have it: cargo install --locked cargo-deny"; \
	fi

generate: ## Write crds/ and the generated parts of docs/
	GENERATE=1 $(CARGO) test --locked --test generated

control-plane: ## Find or build etcd, kube-apiserver and kubectl (about six minutes, once)
	@echo "control plane: looking for etcd, kube-apiserver and kubectl"
	@folder=$$(tests/control-plane/build) && echo "control plane: $$folder"

bench: ## Measure the decisions over a fleet of a thousand connections
	$(CARGO) bench --locked --package dualwrite-plan --bench fleet -- --warm-up-time 1 --measurement-time 5
