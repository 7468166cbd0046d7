// The bridge that a team writes in a week, as the two Node peers share it: a WebSocket in, Avro out.
// It reconnects as pasted answers do: after 1 to 31 s, doubling, ten attempts, which an open socket sets back.
// What `send(messages)` cannot deliver is logged and gone. Nothing is kept on a disk.
import { createRequire } from "node:module";

const { WS_URL, TOPIC, REGISTRY, LINGER_MS = 5, BATCH = 500 } = process.env, MAX_ATTEMPTS = 10;

/** `load` is the folder's own `require`, so that packages come from where they are installed. */
export async function bridge(load, send, disconnect) {
  const WebSocket = load("ws"), avro = load("avsc");
  const { id, schema } = await (await fetch(`${REGISTRY}/subjects/${TOPIC}-value/versions/latest`)).json();
  const type = avro.Type.forSchema(JSON.parse(schema), { wrapUnions: "never" });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  const opt = (value) => value ?? null;
  const call = (c) => ({ id: c.id, state: opt(c.state), direction: opt(c.direction), held: opt(c.held) });
  const participant = (p) => ({ id: p.id, purpose: opt(p.purpose), queue_id: opt(p.queueId), calls: (p.calls ?? []).map(call) });
  const record = ({ topicName, eventBody: b, metadata: m }) => ({
    event_id: m.CorrelationId, topic: topicName, conversation_id: b.id, correlation_id: opt(m.CorrelationId),
    payload: JSON.stringify(b), participants: (b.participants ?? []).map(participant),
  });
  let queue = [], busy = false, timer = null, attempt = 0;

  async function flush() {
    timer = null;
    if (busy || !queue.length) return;
    busy = true;
    const messages = queue.splice(0, +BATCH);
    try { await send(messages); } catch (error) { console.error("produce failed, dropped", messages.length, error.message); }
    busy = false;
    if (queue.length) setImmediate(flush);
  }

  function onMessage(data) {
    const notification = JSON.parse(data);
    if (notification.topicName === "channel.metadata" || !notification.eventBody?.id) return;
    const r = record(notification);
    queue.push({ key: r.conversation_id, value: Buffer.concat([head, type.toBuffer(r)]) });
    if (queue.length >= BATCH) flush(); else timer ??= setTimeout(flush, +LINGER_MS);
  }

  (function connect() {
    const socket = new WebSocket(WS_URL, { perMessageDeflate: false });
    socket.on("open", () => { attempt = 0; });
    socket.on("message", onMessage);
    socket.on("error", (error) => console.error("socket", error.message));
    socket.on("close", () => {
      if (++attempt > MAX_ATTEMPTS) process.exit(1);
      setTimeout(connect, Math.min(1000 * 2 ** (attempt - 1), 30_000) + Math.random() * 1000);
    });
  })();
  process.on("SIGTERM", async () => { await flush(); await disconnect(); process.exit(0); });
}

/** `require` of the folder that `PEER_HOME` names. */
export const packages = () => createRequire(`${process.env.PEER_HOME}/package.json`);
