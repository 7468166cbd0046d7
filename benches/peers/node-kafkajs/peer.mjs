// Node, `ws` and kafkajs.
import { bridge, packages } from "../bridge.mjs";

const load = packages(), lz4 = load("lz4-napi");
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = load("kafkajs");
// kafkajs comes without LZ4
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (buffer) => lz4.decompressFrame(buffer),
});
const kafka = new Kafka({ clientId: "node-bridge", brokers: [process.env.BROKER], logLevel: logLevel.WARN });
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
await producer.connect();
const { TOPIC: topic } = process.env;
const send = (messages) => producer.send({ topic, acks: -1, compression: CompressionTypes.LZ4, messages });
await bridge(load, send, () => producer.disconnect());
