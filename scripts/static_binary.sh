#!/usr/bin/env bash
# Builds trunkline as one static file, with the list of its crates inside (`cargo auditable`), for amd64 or arm64.
# usage: static_binary.sh FOLDER [amd64|arm64]     writes FOLDER/trunkline
# The Dockerfile runs it, and so do `make image` and the release. For the machine's own architecture it takes musl-gcc of
# Debian's musl-tools; for the other one cargo-zigbuild, whose compiler knows both.
set -euo pipefail

die() { printf 'static_binary: %s\n' "$*" >&2; exit "${code:-1}"; }

case $(uname -m) in x86_64) own=amd64 ;; aarch64) own=arm64 ;; *) die "no static binary for $(uname -m): amd64 and arm64 are built" ;; esac
code=64
[ $# -ge 1 ] && [ $# -le 2 ] || die "usage: static_binary.sh FOLDER [amd64|arm64]"
to=$1 arch=${2:-$own}
case $arch in
  amd64) triple=x86_64-unknown-linux-musl ;;
  arm64) triple=aarch64-unknown-linux-musl ;;
  *) die "architecture is $arch; allowed are amd64 and arm64" ;;
esac
code=1
mkdir -p "$to"
to=$(cd "$to" && pwd)
cd "$(dirname "$0")/.."

command -v cargo-auditable >/dev/null || die "cargo auditable is not there: cargo install --locked cargo-auditable@0.7.7"
[ -d "$(rustc --print target-libdir --target "$triple")" ] || rustup target add "$triple" ||
  die "Rust has no $triple: rustup target add $triple"

build=(auditable build)
if [ "$arch" = "$own" ]; then
  command -v musl-gcc >/dev/null || die "musl-gcc is not there: apt-get install musl-tools"
  # C by musl's compiler. There is no musl-g++: CMake asks for one, and librdkafka's C++ is not linked. Rust links by itself.
  export "CC_${triple//-/_}=musl-gcc" "CXX_${triple//-/_}=g++"
  # a megabyte of relocations becomes sixteen kilobytes; musl reads them since 1.2.4
  export RUSTFLAGS="${RUSTFLAGS:-} -C link-arg=-Wl,-z,pack-relative-relocs"
else
  command -v cargo-zigbuild >/dev/null || die "cargo-zigbuild is not there: pip install cargo-zigbuild ziglang"
  build=(auditable zigbuild)
fi
# no path of the machine that built it stays in the file
home=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$home=/cargo --remap-path-prefix=$PWD=/src"
cargo "${build[@]}" --profile static --locked --target "$triple" --package trunkline --bin trunkline
target=${CARGO_TARGET_DIR:-target}
install -D "$target/$triple/static/trunkline" "$to/trunkline"
printf 'static_binary: %s, %s, %s bytes\n' "$to/trunkline" "$triple" "$(stat -c %s "$to/trunkline")" >&2
