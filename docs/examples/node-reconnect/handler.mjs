// A Notification API handler that reconnects correctly, as small as it can be made.
// node handler.mjs LOGIN_URL API_URL CLIENT_ID CLIENT_SECRET TOPIC...   (events go to standard output)
import WebSocket from "ws";

const [login, api, id, secret, ...topics] = process.argv.slice(2);
const now = () => Date.now();
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const hold = (retryAfter) => (Number(retryAfter) || 15) * 1000 + Math.random() * 5000; // never undercut a 429
const read = (data) => { try { return JSON.parse(data); } catch { return { topicName: "unreadable", eventBody: `${data}` }; } };
let token = { text: "", until: 0 };
let channel = null; // { id, connectUri, until, subscribed }
let failures = 0;

async function call(method, url, { headers = {}, body } = {}) {
  const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(15_000) });
  if (answer.ok) return answer.json();
  const error = new Error(`${method} was answered ${answer.status}`); // a path may hold a channel's id, a secret
  error.status = answer.status;
  if (answer.status === 429) error.wait = hold(answer.headers.get("retry-after"));
  throw error;
}

async function freshToken() {
  if (token.until - now() > 60_000) return token.text; // never used near its end
  const body = new URLSearchParams({ grant_type: "client_credentials" });
  const headers = { authorization: `Basic ${btoa(`${id}:${secret}`)}` };
  const granted = await call("POST", `${login}/oauth/token`, { headers, body });
  token = { text: granted.access_token, until: now() + granted.expires_in * 1000 };
  return token.text;
}

async function rest(method, path, body) {
  const headers = { authorization: `Bearer ${await freshToken()}`, "content-type": "application/json" };
  return call(method, `${api}/api/v2/notifications/channels${path}`, { headers, body: body && JSON.stringify(body) });
}

async function prepare() {
  if (!(channel?.until > now())) channel = { ...(await rest("POST", "")), until: now() + 23 * 3600_000 }; // it lives 24 h
  if (channel.subscribed) return; // a lost socket costs neither a channel nor its subscriptions
  const set = await rest("PUT", `/${channel.id}/subscriptions?ignoreErrors=true`, topics.map((topic) => ({ id: topic })));
  const permitted = new Set(set.entities.filter((topic) => topic.state === "Permitted").map((topic) => topic.id));
  for (const topic of topics) if (!permitted.has(topic)) console.error("not covered:", topic);
  channel.subscribed = true;
}

function listen() {
  return new Promise((ended) => {
    const socket = new WebSocket(channel.connectUri, { handshakeTimeout: 15_000 });
    let openedAt = now(), answered = true, wait = 0, timer;
    const ping = () => {
      if (!answered) return socket.terminate(); // no pong in 10 s: half-open
      answered = false;
      socket.send('{"message":"ping"}');
    };
    socket.on("open", () => { openedAt = now(); timer = setInterval(ping, 10_000); });
    socket.on("unexpected-response", (_, { statusCode, headers }) => {
      if ([401, 403, 404].includes(statusCode)) channel = null; // gone: never the same address again
      if (statusCode === 429) wait = hold(headers["retry-after"]);
      socket.terminate();
    });
    socket.on("message", (data) => {
      const event = read(data), topic = event?.topicName ?? "";
      if (topic === "channel.metadata") answered ||= event.eventBody?.message === "pong";
      else if (/no_longer_subscribed|duplicate_id/.test(topic)) channel = null; // taken: never fight for it
      else if (!topic.startsWith("v2.system.")) console.log(JSON.stringify(event)); // one line per event
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", (code) => { clearInterval(timer); ended({ code, wait, lived: now() - openedAt }); });
  });
}

for (let wait; ; await sleep(Math.max(wait, failures <= 1 ? 0 : Math.random() * Math.min(30_000, 1000 * 2 ** failures)))) {
  const end = await prepare().then(listen).catch((error) => ({ code: error.message, lived: 0, ...error }));
  console.error(`ended after ${Math.round(end.lived / 1000)} s: ${end.code}`);
  if (end.status === 401) token.until = 0;
  if (end.status === 404) channel = null;
  wait = end.wait ?? 0;
  failures = end.lived > 60_000 ? 0 : failures + 1; // reset only by what was of use; never a last attempt
}
