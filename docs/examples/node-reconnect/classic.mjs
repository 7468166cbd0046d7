// The two handlers most teams write, so that `make reconnect-table` can measure them. NOT to be copied: see handler.mjs.
// node classic.mjs plain|jitter LOGIN_URL API_URL CLIENT_ID CLIENT_SECRET TOPIC...
// Without a topic API_URL is dialled itself, with the token in its query string.
import WebSocket from "ws";

const [policy, login, api, id, secret, ...topics] = process.argv.slice(2);
let token, attempts = 0;

async function json(method, url, headers, body) {
  const answer = await fetch(url, { method, headers, body });
  if (!answer.ok) throw new Error(`${method} was answered ${answer.status}`); // Retry-After is not looked at
  return answer.json();
}

async function newToken() {
  const body = new URLSearchParams({ grant_type: "client_credentials" });
  const granted = await json("POST", `${login}/oauth/token`, { authorization: `Basic ${btoa(`${id}:${secret}`)}` }, body);
  return granted.access_token;
}

async function address() {
  if (policy === "jitter" || !token) token = await newToken();
  if (topics.length === 0) return `${api}?access_token=${token}`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const channels = `${api}/api/v2/notifications/channels`;
  const channel = await json("POST", channels, headers); // a new one each time
  const list = JSON.stringify(topics.map((topic) => ({ id: topic })));
  await json("PUT", `${channels}/${channel.id}/subscriptions`, headers, list);
  return channel.connectUri;
}

function again() {
  if (policy === "plain") return setTimeout(dial, 1000);
  attempts += 1;
  if (attempts > 10) return console.error("gave up");
  setTimeout(dial, 1000 + Math.random() * 30_000);
}

async function dial() {
  try {
    const socket = new WebSocket(await address());
    socket.on("open", () => { attempts = 0; }); // so accept-then-close never counts
    socket.on("message", (data) => console.log(JSON.stringify(JSON.parse(data))));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", (code) => { console.error("closed with", code); again(); });
  } catch (error) {
    console.error(error.message);
    again();
  }
}

dial();
