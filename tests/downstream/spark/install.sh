#!/usr/bin/env bash
# Copies the jars that Glue 5 brings along, Avro and Iceberg for Spark 3.5, into target/spark-jars.
set -euo pipefail
cd "$(dirname "$0")/../../.."
for artifact in org.apache.spark:spark-avro_2.12:3.5.4 org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.7.1; do
  IFS=: read -r _ name version <<<"$artifact"
  [ -e "target/spark-jars/$name-$version.jar" ] && continue
  printf 'downstream-spark: fetching %s\n' "$artifact" >&2
  mvn -q -B dependency:copy -Dartifact="$artifact" -DoutputDirectory="$PWD/target/spark-jars"
done
