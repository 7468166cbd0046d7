#!/bin/sh
# worker.properties, then every CONNECT_SOME_KEY of the environment as some.key: what is said last counts.
set -eu
made=${TMPDIR:-/tmp}/worker.properties
{
  cat "$(dirname "$0")/worker.properties"
  echo
  env | sed -n 's/^CONNECT_\([A-Z_]*\)=/\1=/p' | while IFS='=' read -r key value; do
    printf '%s=%s\n' "$(printf %s "$key" | tr 'A-Z_' 'a-z.')" "$value"
  done
} >"$made"
exec "${KAFKA_HOME:-/opt/kafka}/bin/connect-distributed.sh" "$made"
