#!/bin/sh
# Renews the query cache; `just prepare` runs it beside a migrated database, whose address is in DATABASE_URL.
set -eu
: "${DATABASE_URL:?run this as: just prepare}"

# The macros write an entry for each query while they are compiled; entries of queries that are gone would stay.
mkdir -p .sqlx
rm -f .sqlx/query-*.json
# Cargo does not know that the cache is an output: what holds queries is compiled anew.
grep -rlE --include='*.rs' 'query(_file)?(_as|_scalar)?!' crates tests | xargs touch
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx" cargo check --workspace --all-targets
echo "$(find .sqlx -name 'query-*.json' | wc -l) queries in .sqlx"
