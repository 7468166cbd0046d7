#!/usr/bin/env bash
# Runs make targets one after the other and says how long each took; stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
times=()
for part in "$@"; do
  printf '== %s\n' "$part"
  started=$SECONDS
  "${MAKE:-make}" --no-print-directory "$part" || {
    printf '== %s failed after %d s\n' "$part" $((SECONDS - started))
    exit 1
  }
  times+=("$(printf '%6d s  %s' $((SECONDS - started)) "$part")")
done
printf '%s\n' '== seconds per part' "${times[@]}"
