#!/usr/bin/env bash
# A Docker engine of the project's own, for where none runs: socket, images and containers in target/docker, and a network
# namespace of its own, so that no rule of the machine's firewall changes and two stacks never want the same port.
# usage: dockerd.sh up|down|status|inside COMMAND…     root; `inside` runs a command where published ports are
set -euo pipefail
cd "$(dirname "$0")/.."
at=$PWD/target/docker

say() { printf 'dockerd: %s\n' "$*" >&2; }
# Whether the process noted in a file still is what was started
runs() { [ -e "$at/$1" ] && [ "$(cat "/proc/$(cat "$at/$1")/comm" 2>/dev/null)" = "$2" ]; }

case ${1:-} in
  up)
    if runs dockerd.pid dockerd; then exit 0; fi
    [ "$(id -u)" = 0 ] || { say "not root: start an engine by hand and set DOCKER_HOST"; exit 77; }
    command -v dockerd >/dev/null || { say "dockerd is not there: apt-get install docker.io"; exit 69; }
    mkdir -p "$at/data" "$at/exec"
    rm -f "$at/sock" "$at/dockerd.pid"
    if ! runs namespace.pid sleep; then
      setsid unshare --net sh -c 'ip link set lo up; exec sleep infinity' </dev/null >/dev/null 2>&1 &
      echo $! >"$at/namespace.pid"
      sleep 0.5
    fi
    setsid nsenter --net="/proc/$(cat "$at/namespace.pid")/ns/net" dockerd --data-root "$at/data" --exec-root "$at/exec" -p "$at/dockerd.pid" \
      -H "unix://$at/sock" --storage-driver overlay2 </dev/null >"$at/log" 2>&1 &
    for _ in $(seq 150); do
      ! DOCKER_HOST="unix://$at/sock" docker version >/dev/null 2>&1 || { say "up: export DOCKER_HOST=unix://$at/sock"; exit 0; }
      sleep 0.2
    done
    tail -5 "$at/log" >&2
    say "the engine does not come up, see $at/log"
    exit 1
    ;;
  down)
    if runs dockerd.pid dockerd; then
      pid=$(cat "$at/dockerd.pid")
      kill "$pid"
      while [ -e "/proc/$pid" ]; do sleep 0.1; done
    fi
    if runs namespace.pid sleep; then kill "$(cat "$at/namespace.pid")"; fi
    rm -f "$at/namespace.pid"
    ;;
  status) if runs dockerd.pid dockerd; then echo "unix://$at/sock"; else say "no engine runs"; exit 1; fi ;;
  inside)
    shift
    [ $# -gt 0 ] && runs namespace.pid sleep || { say "usage: dockerd.sh inside COMMAND…, after dockerd.sh up"; exit 64; }
    exec nsenter --net="/proc/$(cat "$at/namespace.pid")/ns/net" "$@"
    ;;
  *) say "usage: dockerd.sh up|down|status|inside COMMAND…"; exit 64 ;;
esac
