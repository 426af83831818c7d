# The commands of everyday work. `sh infra/bootstrap.sh RECIPE` runs one on a machine that has nothing prepared.

set positional-arguments

# Queries are checked against the committed cache in .sqlx, whatever DATABASE_URL says (`prepare` renews it).
export SQLX_OFFLINE := "true"

target := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# What there is to run.
_list:
    @just --list --unsorted

# Everything on one machine, built for debugging: `just dev --data-dir DIR`.
dev *ARGUMENTS:
    cargo run -p tale-cli -- up "$@"

# From nothing to a settled epoch: `just demo --seed 7 --output json`.
demo *ARGUMENTS:
    cargo build --release -p tale-cli
    "{{ target }}/release/tale" demo "$@"

# Builds the release binary.
build:
    cargo build --release -p tale-cli

# Formatting and lints.
check:
    sh infra/check.sh

# Everything that CI runs: `check`, then all unit and system tests; `just test NAME` only the tests of that name.
test *FILTER: check
    sh infra/test.sh "$@"

# The demo over ten seeds with and without PoV and attackers: a Markdown table.
demo-seeds *SEEDS:
    cargo build --release -p tale-cli
    python3 infra/demo-seeds.py "{{ target }}/release/tale" "$@"

# Measures the queue or the settlement against peers on one PostgreSQL: `just bench queue --peers none`, `just bench settlement` (infra/bench).
bench *ARGUMENTS:
    cargo build --release -p tale-cli
    python3 infra/bench --tale "{{ target }}/release/tale" "$@"

# Renews .sqlx from the migrations and the query files, with a temporary PostgreSQL.
prepare:
    SQLX_OFFLINE=false cargo run -p tale-testkit --bin with-postgres -- --migrated sh infra/prepare.sh

# Compiles the contracts again with the pinned compiler, and writes their bytecode and its hash.
contracts:
    node crates/chain/contracts/build.cjs "$(sh infra/npm.sh)" crates/chain/contracts/build/contracts.json
    cd crates/chain/contracts/build && sha256sum contracts.json > contracts.json.sha256

# Holds the OpenLineage events against the classes of the reference client, which it fetches from PyPI.
check-openlineage *FILES:
    python3 infra/check-openlineage.py "$@"
