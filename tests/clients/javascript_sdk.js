"use strict";
// The vendor's JavaScript SDK on the simulator: token, channel, topics, socket, heartbeats, pings, rotation.
//
// Usage: node javascript_sdk.js PORT CA FRAMES, with NODE_EXTRA_CA_CERTS=CA and NODE_PATH naming the SDK's folder. Every text frame
// goes to FRAMES with the number of its channel; what was called, compared and found is printed as one line of JSON. Nothing of
// the SDK is changed: the address is its `gateway` setting.

const fs = require("fs");
const path = require("path");

const sdk = require("purecloud-platform-client-v2");
const WebSocket = require("ws");

const { Comparison } = require("./javascript_models.js");

const AFTER_ROTATION_MS = 6000;
const KINDS = ["acd.start", "user.start", "user.end", "attributes", "customer.end", "flow.start"];
const MEDIA = ["", ".calls", ".chats", ".emails", ".callbacks", ".messages"];
const folder = path.join(path.dirname(require.resolve("purecloud-platform-client-v2")), "..", "..");

const assert = require("assert");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const topics = (names) => names.map((id) => ({ id }));

/** One socket and everything it hears until it is closed. */
class Listener {
  constructor(number, channel) {
    Object.assign(this, { number, channel, texts: [], closed: null, protocolPongs: 0, failure: null });
    this.socket = new WebSocket(channel.connectUri);
    this.socket.on("message", (data, binary) => this.texts.push(binary ? null : data.toString()));
    this.socket.on("pong", () => (this.protocolPongs += 1));
    this.socket.on("close", (code) => (this.closed = code));
    this.socket.on("error", (error) => (this.failure = error));
  }

  bodies(topic) {
    return this.texts.map(JSON.parse).filter((frame) => frame.topicName === topic).map((frame) => frame.eventBody);
  }

  said(message) {
    return this.bodies("channel.metadata").filter((body) => body.message === message).length;
  }

  async wait(what, ms = 60000) {
    for (const end = Date.now() + ms; !what(); await sleep(50)) {
      if (this.failure) throw this.failure;
      if (Date.now() > end) throw new Error(`channel ${this.number}, closed ${this.closed}: not within ${ms} ms`);
    }
  }

  /** Both pings there are; the pong queues behind the events before it. */
  async ping() {
    const [heard, answered] = [this.said("pong"), this.protocolPongs];
    this.socket.ping("are you there");
    this.socket.send(JSON.stringify({ message: "ping" }));
    await this.wait(() => this.said("pong") > heard && this.protocolPongs > answered, 10000);
  }
}

/** What a client does, from the token to the end of the second channel. */
class Story {
  constructor(port) {
    this.client = sdk.ApiClient.instance;
    this.client.config.live_reload_config = false;
    this.client.setReturnExtendedResponses(true);
    this.client.setGateway({ host: "127.0.0.1", protocol: "https", port });
    this.calls = 0;
    this.comparison = new Comparison(path.join(folder, "index.d.ts"));
    this.notifications = new sdk.NotificationsApi();
    this.schemas = new Map();
  }

  /** Calls the API and compares the answer with the model that the method is declared to give. */
  async call(api, method, ...rest) {
    this.calls += 1;
    const answer = (await api[method](...rest)).body;
    const kind = this.comparison.answers.get(method);
    assert(kind, `${method} is not declared`);
    if (kind !== "void") this.comparison.compare(answer, kind);
    return answer;
  }

  async refused(status, api, method, ...rest) {
    this.calls += 1;
    const refusal = await api[method](...rest).then(() => null, (error) => error);
    assert.strictEqual(refusal && refusal.status, status, method);
    if (refusal.body) this.comparison.compare(refusal.body, "Models.ErrorBody");
  }

  async lookAround() {
    await this.client.loginClientCredentialsGrant("sim-client", "sim-secret");
    this.calls += 1;
    await this.call(new sdk.TokensApi(), "getTokensMe");
    await this.call(new sdk.OrganizationApi(), "getOrganizationsMe");
    await this.call(new sdk.OrganizationApi(), "getOrganizationsLimitsNamespace", "platform.api");
    const expand = ["description", "enforced", "schema", "transports", "requiresPermissions", "permissionDetails"];
    const available = await this.call(this.notifications, "getNotificationsAvailabletopics", { expand });
    for (const topic of available.entities) {
      if (topic.schema) this.schemas.set(topic.id, topic.schema.id);
    }
    const queues = await this.call(new sdk.RoutingApi(), "getRoutingQueues", { pageSize: 100 });
    const users = await this.call(new sdk.UsersApi(), "getUsers", { pageSize: 100 });
    this.queues = queues.entities.flatMap((queue) => MEDIA.map((end) => `v2.routing.queues.${queue.id}.conversations${end}`));
    this.users = users.entities.map((user) => `v2.users.${user.id}?conversations&conversations.calls&presence`);
  }

  async open(number) {
    const api = this.notifications;
    const channel = await this.call(api, "postNotificationsChannels");
    await this.call(api, "headNotificationsChannel", channel.id);
    const put = await this.call(api, "putNotificationsChannelSubscriptions", channel.id, topics(this.queues));
    const post = await this.call(api, "postNotificationsChannelSubscriptions", channel.id, topics(this.users));
    const wanted = [...this.queues, ...this.users];
    assert.deepStrictEqual([...put.entities, ...post.entities].map((t) => [t.id, t.state]), wanted.map((id) => [id, "Permitted"]));
    const listed = await this.call(api, "getNotificationsChannelSubscriptions", channel.id);
    assert.deepStrictEqual(listed.entities.map((t) => t.id).sort(), wanted.sort());
    const listener = new Listener(number, channel);
    await listener.wait(() => listener.socket.readyState === WebSocket.OPEN);
    return listener;
  }

  /** What is wrong is refused, and changes nothing. */
  async mistakes(channel) {
    const [api, wrong] = [this.notifications, topics(["v2.routing.queues.*.conversations"])];
    await this.refused(404, api, "headNotificationsChannel", "streaming-0-made-up");
    await this.refused(400, api, "postNotificationsChannelSubscriptions", channel, wrong);
    const answer = await this.call(api, "postNotificationsChannelSubscriptions", channel, wrong, { ignoreErrors: true });
    assert.deepStrictEqual(answer.entities.map((t) => t.state), ["Rejected"]);
  }

  /** Detail events and metrics of the conversations that were heard of so far. */
  async follow(listener) {
    const heard = listener.texts.map(JSON.parse).filter((frame) => this.queues.includes(frame.topicName));
    const ids = [...new Set(heard.map((frame) => frame.eventBody.id))].slice(0, 40);
    const names = ids.flatMap((id) => KINDS.map((kind) => `v2.detail.events.conversation.${id}.${kind}`));
    names.push(...ids.map((id) => `v2.analytics.conversation.${id}.metrics`));
    await this.call(this.notifications, "postNotificationsChannelSubscriptions", listener.channel.id, topics(names));
  }

  /** Nothing is wanted any more, a last pong says that everything was heard, then the socket ends. */
  async close(listener) {
    await this.call(this.notifications, "deleteNotificationsChannelSubscriptions", listener.channel.id);
    await listener.ping();
    listener.socket.close(1000);
    await listener.wait(() => listener.closed !== null, 10000);
    assert.strictEqual(listener.closed, 1000);
  }

  async history(id) {
    const api = new sdk.AnalyticsApi();
    const at = (shift) => new Date(Date.now() + shift).toISOString();
    const query = { interval: `${at(-3600000)}/${at(3600000)}` };
    const found = await this.call(api, "postAnalyticsConversationsDetailsQuery", query);
    assert(found.totalHits > 0 && found.conversations[0].conversationId);
    await this.call(api, "getAnalyticsConversationsDetailsJobsAvailability");
    const job = await this.call(api, "postAnalyticsConversationsDetailsJobs", query);
    while ((await this.call(api, "getAnalyticsConversationsDetailsJob", job.jobId)).state !== "FULFILLED") await sleep(200);
    const results = await this.call(api, "getAnalyticsConversationsDetailsJobResults", job.jobId);
    assert(results.conversations[0].participants[0].attributes);
    await this.call(api, "getAnalyticsConversationDetails", id);
    const living = await this.call(new sdk.ConversationsApi(), "getConversation", id);
    assert.strictEqual(living.id, id);
  }

  async play() {
    await this.lookAround();
    const first = await this.open(1);
    await this.mistakes(first.channel.id);
    await first.wait(() => first.texts.length > 150);
    await this.follow(first);
    while (first.bodies("v2.system.socket_closing").length === 0) {
      await first.ping();
      await sleep(2000);
    }
    const second = await this.open(2);
    await second.wait(() => second.texts.length > 20);
    await this.close(first);
    await sleep(AFTER_ROTATION_MS);
    await this.close(second);
    await this.call(this.notifications, "getNotificationsChannels");
    await this.history(first.texts.map(JSON.parse).find((frame) => frame.eventBody.id).eventBody.id);
    return [first, second];
  }

  /** Every frame against the model that the platform names for its topic. */
  read(text) {
    const frame = JSON.parse(text);
    if (frame.topicName !== "channel.metadata") this.comparison.compare(frame.eventBody, `Models.${this.schema(frame.topicName)}`);
  }

  schema(topic) {
    if (topic === "v2.system.socket_closing") return "SystemMessageSystemMessage";
    const parts = topic.split(".");
    for (const [template, schema] of this.schemas) {
      const words = template.split(".");
      if (words.length === parts.length && words.every((word, at) => word === "{id}" || word === parts[at])) return schema;
    }
    throw new Error(`no model for ${topic}`);
  }
}

async function main(port, frames) {
  const story = new Story(Number(port));
  const listeners = await story.play();
  const lines = listeners.flatMap(({ number, texts }) => texts.map((text) => JSON.stringify({ channel: number, text })));
  fs.writeFileSync(frames, lines.map((line) => `${line}\n`).join(""));
  listeners.forEach(({ texts }) => texts.forEach((text) => story.read(text)));
  const { count, complaints, unknown, seen } = story.comparison;
  const report = {
    sdk: "purecloud-platform-client-v2", version: JSON.parse(fs.readFileSync(path.join(folder, "package.json"))).version,
    calls: story.calls, compared: count, complaints: complaints.slice(0, 20), unknown, models: seen,
    heartbeats: listeners.map((one) => one.said("WebSocket Heartbeat")), pongs: listeners.map((one) => one.said("pong")),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

main(process.argv[2], process.argv[4]).catch((error) => {
  process.stderr.write(`${error.stack || JSON.stringify(error)}\n`, () => process.exit(1));
});
