// Node, `ws` and Confluent's client.
import { bridge, packages } from "../bridge.mjs";

const load = packages(), { KafkaJS } = load("@confluentinc/kafka-javascript");
const kafka = new KafkaJS.Kafka({ "bootstrap.servers": process.env.BROKER });
const producer = kafka.producer({
  "enable.idempotence": true, acks: -1, "compression.codec": "lz4", "linger.ms": 5, "partitioner": "murmur2_random",
});
await producer.connect();
const { TOPIC: topic } = process.env;
await bridge(load, (messages) => producer.send({ topic, messages }), () => producer.disconnect());
