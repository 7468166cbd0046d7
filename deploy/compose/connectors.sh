#!/bin/sh
# Creates or updates a connector for each file of /connectors, changed where this stack is smaller than what they are shipped for:
# one broker, an S3 server of its own, a file a minute.
set -eu
for file in /connectors/*.json; do
  name=trunkline-$(basename "$file" .json)
  sed -e 's/\("errors.deadletterqueue.topic.replication.factor"\): *"[0-9]*"/\1: "1"/' \
      -e 's/\("rotate\.[a-z.]*interval\.ms"\): *"[0-9]*"/\1: "60000"/' \
      -e '1s|{|{ "store.url": "http://s3:8333",|' "$file" |
    curl --silent --show-error --fail-with-body --retry 30 --retry-delay 2 --retry-all-errors --retry-max-time 90 --output /dev/null \
      --request PUT --header 'Content-Type: application/json' --data-binary @- "http://connect:8083/connectors/$name/config"
  echo "connector $name is set"
done
echo "objects: aws --endpoint-url http://127.0.0.1:8333 s3 ls --recursive s3://staging/   (credentials: deploy/compose/s3.credentials)"
