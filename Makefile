# Two commands do everything: `make run` shows the server at work, `make test` runs all tests.

.PHONY: run test test-epoll tools test-tools

run: tools
	@scripts/run.sh

# The end-to-end tests start the programs, so those are built first. Most of their time they wait: twice as many as there are
# CPUs run at once.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: tools test-tools
	scripts/outside/install.sh
	cargo build --workspace --bins
	cargo test --workspace

# What the tests of engine and spool do on each driver themselves, for sessions, deliveries and scripts: by epoll.
test-epoll: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test-epoll: export TEST_DRIVER = epoll
test-epoll: tools test-tools
	cargo build --workspace --bins
	cargo test -p hostcalls --lib
	cargo test -p tests --test end_to_end -- session:: delivery:: dns:: next_hops:: tls::

tools:
	@command -v cargo >/dev/null || { echo "cargo is missing. Install Rust 1.95 or newer: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler (cc) is missing. On Debian or Ubuntu: apt-get install gcc libc6-dev" >&2; exit 1; }

test-tools:
	@for tool in openssl python3 taskset; do command -v $$tool >/dev/null || { echo "$$tool is missing; tests talk to it. On Debian or Ubuntu: apt-get install openssl python3 util-linux" >&2; exit 1; }; done
