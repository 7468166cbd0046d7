#!/usr/bin/env bash
# Loads staged hours: lists S3, makes manifests, calls load_listing and load_hour, says what is not complete.
# Made to be run every few minutes by cron, EventBridge or Airflow; a run that was interrupted is made good by the
# next one, and of two runs at once one waits for the other.
#
# usage: load.sh ['YYYY-MM-DD HH:00:00' ...]     hours, UTC; without any: the last three, and hours_to_reload
#
# environment: BUCKET; PREFIX (default topics: `topics.dir` of the sink); MANIFESTS (prefix in the same bucket,
# default manifests); TOPICS (role=topic ..., where they have other names); and what psql (PGHOST, PGUSER ...)
# and aws need.
# exit codes: 0 loaded, whatever completeness says; 1 something failed: run it again; 64 wrong usage
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() { printf 'load: %s\n' "$*" >&2; exit 64; }
[ -n "${BUCKET:-}" ] || usage "BUCKET is not set: allowed is the name of the staging bucket"
prefix=${PREFIX:-topics} manifests=${MANIFESTS:-manifests}
declare -A topic=(
  [events]=genesys.conversation.events [certificates]=genesys.conversation.certificates
  [gaps]=genesys.conversation.gaps [quarantine]=genesys.conversation.quarantine
)
for pair in ${TOPICS:-}; do topic[${pair%%=*}]=${pair#*=}; done
for hour in "$@"; do
  [[ $hour =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9]{2}:00:00$ ]] ||
    usage "hour is $hour: allowed is 'YYYY-MM-DD HH:00:00', UTC"
done

sql() { psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -c "$1"; }

hours=("$@")
if [ ${#hours[@]} -eq 0 ]; then
  for back in 2 1 0; do hours+=("$(date -u -d "-$back hour" '+%Y-%m-%d %H:00:00')"); done
  mapfile -t -O 3 hours < <(sql "SELECT DISTINCT TO_CHAR(staging_hour, 'YYYY-MM-DD HH24:00:00') FROM hours_to_reload")
  mapfile -t hours < <(printf '%s\n' "${hours[@]}" | sort -u)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for hour in "${hours[@]}"; do
  for role in events certificates gaps quarantine; do
    aws s3api list-objects-v2 --output json --bucket "$BUCKET" \
      --prefix "$prefix/${topic[$role]}/dt=${hour:0:10}/hr=${hour:11:2}/" >>"$work/listing.json"
  done
done
arguments=()
for role in "${!topic[@]}"; do arguments+=(--topic "$role=${topic[$role]}"); done
python3 "$here/manifests.py" "$work/out" --bucket "$BUCKET" "${arguments[@]}" <"$work/listing.json" >"$work/hours"
aws s3 cp --only-show-errors --recursive "$work/out" "s3://$BUCKET/$manifests/"
sql "CALL load_listing('s3://$BUCKET/$manifests/objects.csv')"
while IFS= read -r hour; do
  sql "CALL load_hour('$hour', 's3://$BUCKET/$manifests')"
done <"$work/hours"
sql "SELECT 'not complete: ' || hour || ', ' || missing_live || ' rows missing, ' || intervals_unproven || ' intervals unproven'
     FROM completeness_by_hour WHERE complete = 'no' ORDER BY hour"
