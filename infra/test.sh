#!/bin/sh
# Runs all tests beside one temporary PostgreSQL: `just test [NAME…]`.
set -eu
target=${CARGO_TARGET_DIR:-$PWD/target}

# A developer's own database and store are none of the tests' business.
unset DATABASE_URL TALE_STORE TALE_DATA_DIR || true

# One build for all: the programs that system tests run, and the tests, with the same features.
cargo build --workspace --bins --tests
if cargo nextest --version >/dev/null 2>&1; then
    cargo test --workspace --doc --quiet
    exec "$target/debug/with-postgres" cargo nextest run --workspace --no-fail-fast "$@"
fi
exec "$target/debug/with-postgres" cargo test --workspace --no-fail-fast "$@"
