#!/bin/sh
# Kills and cuts the parts of the compose file, one after the other, then asks what became of it. Runs in the profile `chaos`, and by
# hand wherever `docker` reaches the engine.
# usage: chaos.sh [ROUNDS]     COMPOSE_PROJECT_NAME: which stack, where several run; CHAOS_SECONDS: between two deeds
set -eu
rounds=${1:-1} pause=${CHAOS_SECONDS:-20}
case $rounds in *[!0-9]* | '' | 0) echo "chaos: rounds are $rounds; allowed is a number from 1" >&2; exit 64 ;; esac

say() { echo "$(date -u +%H:%M:%S) chaos: $*"; }
container() {
  docker ps --all --quiet --filter "label=com.docker.compose.service=$1" \
    ${COMPOSE_PROJECT_NAME:+--filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"} | head -n 1
}
trunkline() { docker exec "$(container trunkline-1)" /usr/local/bin/trunkline "$@" --config /etc/trunkline/trunkline.yaml; }
healthy() {
  left=60
  until [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { say "$1 is not healthy after two minutes"; exit 1; }
    sleep 2
  done
  say "$1 is healthy"
}

for service in kafka registry trunkline-0 trunkline-1; do
  [ -n "$(container "$service")" ] || { echo "chaos: no container of service $service; start the stack first: docker compose up --detach" >&2; exit 69; }
done
kafka=$(container kafka)
network=$(docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}' "$kafka")

round=1
while [ "$round" -le "$rounds" ]; do
  for service in trunkline-0 trunkline-1; do
    say "round $round: kill $service"
    docker kill "$(container "$service")" >/dev/null
    sleep "$pause"
    docker start "$(container "$service")" >/dev/null
    healthy "$service"
    sleep "$pause"
  done
  say "round $round: freeze the broker"
  docker pause "$kafka" >/dev/null
  sleep "$pause"
  docker unpause "$kafka" >/dev/null
  sleep "$pause"
  say "round $round: cut the broker off"
  docker network disconnect "$network" "$kafka"
  sleep "$pause"
  # the service's name is an alias: without it nobody finds the broker again
  docker network connect --alias kafka "$network" "$kafka"
  healthy kafka
  # frozen, not killed: it keeps schemas in memory
  say "round $round: freeze the registry"
  docker pause "$(container registry)" >/dev/null
  sleep "$pause"
  docker unpause "$(container registry)" >/dev/null
  healthy registry
  round=$((round + 1))
done
for service in trunkline-0 trunkline-1; do healthy "$service"; done
sleep "$pause"
say "gaps of the last hour:"
trunkline gaps list --from 1h
say "what is proven of it:"
trunkline coverage --from 1h || say "not all of it yet: gaps are repaired, and hours certified, later"
