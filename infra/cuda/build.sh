#!/bin/sh
# Builds `tale` for NVIDIA GPUs without reaching GitHub: see README.md beside this file.
# Arguments are passed on to cargo, for example: infra/cuda/build.sh --release -p tale-cli
set -eu
cd "$(dirname "$0")/../.."

# The stand-in changes the resolution, so cargo rewrites Cargo.lock; the repository's own comes back afterwards.
kept=$(mktemp)
cp Cargo.lock "$kept"
trap 'cp "$kept" Cargo.lock; rm -f "$kept"' EXIT
trap 'exit 130' INT TERM

cargo build \
    --config 'patch.crates-io.cubecl-llvm.path="infra/cuda/cubecl-llvm"' \
    --features tale-tasks/cuda-nvrtc \
    --target-dir "${CARGO_TARGET_DIR:-target}/cuda" \
    "$@"
