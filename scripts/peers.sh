#!/usr/bin/env bash
# Installs and builds the peers of benches/peers into target/peers, in their pinned versions, from package registries.
# What cannot be had is no failure: its error lies in target/peers/NAME/error.txt, and the scoreboard lists it as not run.
# usage: scripts/peers.sh [NAME...]; without a name all of them
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD/benches/peers built=$PWD/target/peers
all=(node-kafkajs python node-confluent benthos)

say() { printf 'peers: %s\n' "$*" >&2; }

node_kafkajs() { cp "$source/node-kafkajs/package.json" . && npm install --silent --no-package-lock --no-audit --no-fund; }

# librdkafka is compiled, against the headers of the Node that is there. Its build calls `make -j` without a number, which
# starts everything at once: a `make` of ours in front of the real one leaves that word out.
node_confluent() {
  cp "$source/node-confluent/package.json" .
  mkdir -p bin
  printf '#!/bin/bash\nwords=()\nfor word in "$@"; do [ "$word" = -j ] || words+=("$word"); done\nexec %s "${words[@]}"\n' "$(command -v make)" >bin/make
  chmod +x bin/make
  env -u MAKEFLAGS PATH="$PWD/bin:$PATH" JOBS=1 CKJS_LINKING=dynamic npm_config_nodedir=/usr npm install --no-package-lock --no-audit --no-fund
}

python() { python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check -r "$source/python/requirements.txt"; }

benthos() {
  cp "$source"/benthos/{go.mod,main.go} .
  command -v go >/dev/null || { echo "go: command not found (Go 1.22 or newer builds it)"; return 1; }
  go mod tidy && go build -p 1 -trimpath -ldflags='-s -w' -o peer .
}

for name in "${@:-${all[@]}}"; do
  if ! printf '%s\n' "${all[@]}" | grep -qx -- "$name"; then
    say "no peer is called $name; allowed: ${all[*]}"
    exit 64
  fi
  folder=$built/$name
  stamp=$folder/done.$(cat "$source/$name"/* | cksum | cut -d' ' -f1)
  [ -e "$stamp" ] && continue
  mkdir -p "$folder"
  rm -f "$folder"/done.* "$folder/error.txt"
  say "building $name"
  if (cd "$folder" && "${name//-/_}") >"$folder/build.log" 2>&1; then
    touch "$stamp"
  else
    grep -v '^ *$' "$folder/build.log" | tail -5 >"$folder/error.txt" || echo "no message" >"$folder/error.txt"
    say "$name cannot be had: $(tail -1 "$folder/error.txt")"
  fi
done
