#!/usr/bin/env bash
# Installs the two SDKs under target/clients, in the versions that are named here; does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/clients there=target/clients
mkdir -p "$there/npm" "$there/home"
if ! cmp -s "$here/requirements.txt" "$there/venv/installed.txt"; then
  echo "clients: the Python SDK into $there" >&2
  rm -rf "$there/venv"
  python3 -m venv "$there/venv"
  "$there/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$there/venv/installed.txt"
fi
if ! cmp -s "$here/package-lock.json" "$there/npm/installed.json"; then
  echo "clients: the JavaScript SDK into $there" >&2
  cp "$here/package.json" "$here/package-lock.json" "$there/npm/"
  (cd "$there/npm" && npm ci --silent --no-audit --no-fund)
  cp "$here/package-lock.json" "$there/npm/installed.json"
fi
