#!/bin/sh
# sh infra/npm.sh: installs the packages that crates/chain/contracts pins, and prints the folder of its node_modules.
#
# They go once into ${XDG_CACHE_HOME:-~/.cache}/taleworks/npm-DIGEST, outside the checkout, by the digest of the lock
# file. Their install scripts do not run: the programs are in the packages.
set -eu

die() { echo "npm: $*" >&2; exit 1; }

cd "$(dirname "$0")/../crates/chain/contracts"
digest=$(cat package.json package-lock.json | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/taleworks
folder=$cache/npm-$digest

if [ ! -d "$folder" ]; then
    for program in node npm; do
        command -v "$program" >/dev/null 2>&1 ||
            die "$program is not installed: \`sh infra/bootstrap.sh\` brings it, or (root) apt-get install nodejs npm"
    done
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/installing-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cp package.json package-lock.json "$work"
    (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        die "the packages cannot be installed: npm must reach its registry (npm config get registry)"
    # whole or not at all; of two at once the second finds it there
    mv -T "$work" "$folder" 2>/dev/null || [ -d "$folder" ] || die "cannot write $folder"
fi
echo "$folder/node_modules"
