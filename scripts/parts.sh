#!/usr/bin/env bash
# Runs make targets one after the other and says how long each took; stops at the first that fails.
# usage: parts.sh [--beside TARGET] TARGET...
# The one beside only computes: it runs at the lowest priority while the others, from the chart on, mostly wait.
set -euo pipefail
cd "$(dirname "$0")/.."
make=("${MAKE:-make}" --no-print-directory)
beside=''
if [ "${1:-}" = --beside ]; then
  beside=$2
  shift 2
fi
times=() running='' log="target/$beside.log" since=0

said() { # target, seconds
  times+=("$(printf '%6d s  %s' "$2" "$1")")
}
failed() { # target, seconds
  printf '== %s failed after %d s\n' "$1" "$2"
  exit 1
}
stop() {
  [ -z "$running" ] || kill -- -"$running" 2>/dev/null || true
}
trap stop EXIT

start_beside() {
  # what is built holds the lock of the target folder, so it is built before anything runs beside it
  printf '== %s: building\n' "$beside"
  since=$SECONDS
  "${make[@]}" "$beside-build" || failed "$beside-build" $((SECONDS - since))
  said "$beside-build" $((SECONDS - since))
  since=$SECONDS
  mkdir -p target
  set -m # a process group of its own, to be stopped as one
  nice -n 19 "${make[@]}" "$beside" >"$log" 2>&1 &
  running=$!
  set +m
}
end_beside() { # waits for it and shows what it said
  local code=0
  wait "$running" || code=$?
  running=''
  printf '== %s, beside the others\n' "$beside"
  cat "$log"
  [ "$code" = 0 ] || failed "$beside" $((SECONDS - since))
  said "$beside (beside the others)" $((SECONDS - since))
  beside=''
}

for part in "$@"; do
  if [ -n "$beside" ] && [ -z "$running" ] && [ "$part" = chart ]; then
    start_beside
  fi
  printf '== %s\n' "$part"
  started=$SECONDS
  "${make[@]}" "$part" || failed "$part" $((SECONDS - started))
  said "$part" $((SECONDS - started))
  if [ -n "$running" ] && ! kill -0 "$running" 2>/dev/null; then
    end_beside
  fi
done
[ -z "$running" ] || end_beside
printf '%s\n' '== seconds per part' "${times[@]}"
