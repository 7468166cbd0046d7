#!/usr/bin/env bash
# A real Kafka, registry, S3 server and Kafka Connect on this machine, without containers.
# usage: scripts/testbed.sh up|down|status [broker|cluster|registry|s3|connect|all]
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || { echo "testbed: no .venv: run scripts/setup.sh --for stack" >&2; exit 69; }
PYTHONPATH=scripts exec .venv/bin/python -m testbed "$@"
