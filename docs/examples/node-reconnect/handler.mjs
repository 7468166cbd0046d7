// A Notification API handler that reconnects correctly, as small as it can be made.
// node handler.mjs LOGIN_URL API_URL CLIENT_ID CLIENT_SECRET TOPIC...   (events go to standard output)
import WebSocket from "ws";

const [login, api, id, secret, ...topics] = process.argv.slice(2);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const now = () => Date.now();
let token = { text: "", until: 0 };
let channel = null; // { id, connectUri, until }
let failures = 0;

async function call(method, url, { headers = {}, body } = {}) {
  const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(15_000) });
  if (answer.ok) return answer.json();
  const error = new Error(`${method} was answered ${answer.status}`); // a path may hold a channel's id, a secret
  error.status = answer.status;
  const hint = Number(answer.headers.get("retry-after")); // whole seconds; never undercut
  if (answer.status === 429) error.wait = (hint || 15) * 1000 + Math.random() * 5000;
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
  if (channel && channel.until > now()) return; // a lost socket does not cost a channel
  channel = await rest("POST", "");
  channel.until = now() + 23 * 3600_000; // channels live 24 h
  const path = `/${channel.id}/subscriptions?ignoreErrors=true`;
  const set = await rest("PUT", path, topics.map((topic) => ({ id: topic })));
  for (const topic of set.entities) if (topic.state !== "Permitted") console.error("not covered:", topic.id);
}

function listen() {
  return new Promise((ended) => {
    const socket = new WebSocket(channel.connectUri, { handshakeTimeout: 15_000 });
    let openedAt = 0, answered = true, timer;
    const ping = () => {
      if (!answered) return socket.terminate(); // no pong in 10 s: half-open
      answered = false;
      socket.send('{"message":"ping"}');
    };
    socket.on("open", () => { openedAt = now(); timer = setInterval(ping, 10_000); });
    socket.on("unexpected-response", (_, answer) => { if ([401, 403, 404].includes(answer.statusCode)) channel = null; socket.terminate(); });
    socket.on("message", (data) => {
      const event = JSON.parse(data);
      if (event.topicName === "channel.metadata") answered ||= event.eventBody.message === "pong";
      else console.log(JSON.stringify(event)); // one line per event
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", (code) => { clearInterval(timer); ended({ code, lived: openedAt ? now() - openedAt : 0 }); });
  });
}

for (let wait = 0; ; wait = 0) {
  try {
    await prepare();
    const { code, lived } = await listen();
    console.error(`closed with ${code} after ${Math.round(lived / 1000)} s`);
    failures = lived > 60_000 ? 0 : failures + 1; // a connection that was of no use resets nothing
  } catch (error) {
    console.error(error.message);
    if (error.status === 401) token.until = 0;
    if (error.status === 404) channel = null;
    failures += 1;
    wait = error.wait ?? 0;
  }
  await sleep(Math.max(wait, failures <= 1 ? 0 : Math.random() * Math.min(30_000, 1000 * 2 ** failures))); // full jitter, no limit
}
