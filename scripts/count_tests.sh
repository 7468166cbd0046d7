#!/usr/bin/env bash
# Adds up what the test runs of this make said; a run that executed nothing is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
read -r passed failed skipped < <(
  awk '/^test result:/ {p += $4; f += $6; s += $8} END {print p + 0, f + 0, s + 0}' target/units.log
)
# unittest's words, and pytest's
logs=(target/{verifier,journey,clients,drain,chart,compose,downstream}.log)
ran=$(awk '/^Ran [0-9]+ test/ {n += $2} /^=+ .* in [0-9.]+s/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /^(passed|skipped)/) n += $i} END {print n + 0}' "${logs[@]}")
unrun=$(awk -F'skipped=' '/^OK \(skipped=/ {n += $2} /^=+ .* [0-9]+ skipped.* in [0-9.]+s/ {match($0, /[0-9]+ skipped/); n += substr($0, RSTART)} END {print n + 0}' "${logs[@]}")
[ "$passed" -gt 0 ] && [ "$ran" -gt "$unrun" ] || { echo "no test was executed" >&2; exit 1; }
echo "$((passed + ran - unrun)) passed, $failed failed, $((skipped + unrun)) skipped"
