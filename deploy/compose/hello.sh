#!/bin/sh
# Waits for events in the topic, then says once where to look.
set -eu
topic=genesys.conversation.events
events() {
  /opt/kafka/bin/kafka-get-offsets.sh --bootstrap-server kafka:9092 --topic "$topic" 2>/dev/null | awk -F: '{sum += $3} END {print sum + 0}'
}
tries=0
until count=$(events) && [ "$count" -gt 0 ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || { echo "hello: no event in $topic; see: docker compose logs trunkline-0 trunkline-1" >&2; exit 1; }
  sleep 1
done
cat <<EOF
$count events are in $topic.
  status page    http://127.0.0.1:$ADMIN_PORT/   and of the other replica http://127.0.0.1:$SECOND_ADMIN_PORT/
  read events    docker compose exec kafka /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server kafka:9092 --topic $topic --from-beginning --max-messages 5
  is it complete docker compose exec trunkline-0 /usr/local/bin/trunkline coverage --from 1h --config /etc/trunkline/trunkline.yaml
  from the host  broker 127.0.0.1:$KAFKA_PORT, registry http://127.0.0.1:$REGISTRY_PORT/apis/ccompat/v7
  pull a cable   http://127.0.0.1:$SIM_PORT/sim/   a button for each fault of the platform
  break it       docker compose kill trunkline-0; nothing is lost: the other one goes on
EOF
