#!/bin/sh
# Formatting and lints: `just check`.
set -eu

# A toolchain of rustup's minimal profile has neither; a missing tool is said, not hidden.
has() {
    cargo "$1" --version >/dev/null 2>&1 && return
    echo "check: $1 is not installed, so it is skipped (rustup component add $2)" >&2
    return 1
}

if has fmt rustfmt; then cargo fmt --all --check; fi
if has clippy clippy; then cargo clippy --workspace --all-targets -- -D warnings; fi
