"""Starts the shipped binary beside a broker, a registry and the simulator, and reads back."""

import base64
import hashlib
import io
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import fastavro

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVENTS, QUARANTINE = "genesys.conversation.events", "genesys.conversation.quarantine"
GAPS, CERTIFICATES, STATE = "genesys.conversation.gaps", "genesys.conversation.certificates", "trunkline.state"
AVRO = (EVENTS, GAPS, CERTIFICATES)


def target() -> pathlib.Path:
    text = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return pathlib.Path(json.loads(text)["target_directory"]) / "debug"


BINARY = target() / "trunkline"


def get(url: str, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def wait_for(what, seconds=20, every=0.05):
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found or time.monotonic() > end:
            return found
        time.sleep(every)


class Process:
    """A child that prints one line when it is ready, and is gone at the end."""

    def __init__(self, *command, **kwargs):
        self.child = subprocess.Popen(
            [str(c) for c in command], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kwargs
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe:
                pipe.close()


class Stand(Process):
    def __init__(self):
        super().__init__(target() / "examples" / "stand", stderr=subprocess.DEVNULL)
        addresses = json.loads(self.child.stdout.readline())
        self.bootstrap, self.registry = addresses["bootstrap"], addresses["registry"]

    def obey(self, line: str):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        answers = []
        while True:
            answer = json.loads(self.child.stdout.readline())
            if isinstance(answer, dict) and answer.get("done"):
                return answers
            answers.append(answer)

    def records(self, topic=EVENTS):
        schemas = {int(k): fastavro.parse_schema(json.loads(v)) for k, v in self.obey("schemas")[0].items()}
        for raw in self.obey(f"read {topic}"):
            value = base64.b64decode(raw["value_b64"])
            raw["value"] = value
            if topic in AVRO:
                schema = schemas[struct.unpack(">I", value[1:5])[0]]
                raw["record"] = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)
            yield raw


class Sim(Process):
    def __init__(self, *flags):
        command = [BINARY, "simulate", "--output", "json", "--port", "0", *flags]
        super().__init__(*command, stderr=subprocess.DEVNULL)
        addresses = json.loads(self.child.stdout.readline())
        self.url, self.direct_url = addresses["url"], addresses["direct_url"]

    def counters(self):
        return json.loads(get(f"{self.url}/sim/counters"))

    def fault(self, what, **rest):
        body = json.dumps({"what": what, **rest}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/sim/faults", data=body, method="POST"), timeout=5)

    def ledger(self):
        entries, after = [], 0
        while True:
            page = get(f"{self.url}/sim/ledger?after={after}&limit=5000", timeout=60).splitlines()
            if not page:
                return entries
            entries += [json.loads(line) for line in page]
            after = entries[-1]["seq"]


def config(stand: Stand, url: str, **changes) -> dict:
    tree = {
        "genesys": {
            "login_url": url,
            "api_url": url,
            "clients": [{"id": "sim-client", "secret": "sim-secret"}],
        },
        "kafka": {"bootstrap_servers": stand.bootstrap, "durability": "degraded_allowed", "start_timeout_secs": 1},
        "schema_registry": {"url": stand.registry, "start_timeout_secs": 3},
        "privacy": {"preset": "none"},
        "admin": {"listen": "127.0.0.1:0"},
        # without `dir`, every start has a folder of its own
        "spool": {},
    }
    for path, value in changes.items():
        at = tree
        *sections, last = path.split("__")
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    return tree


class Trunkline(Process):
    """`trunkline run` with a configuration; logs are kept."""

    def __init__(self, tree: dict, **kwargs):
        self.folder = tempfile.TemporaryDirectory()
        self.path = path = pathlib.Path(self.folder.name) / "trunkline.yaml"
        spool = {"dir": str(pathlib.Path(self.folder.name) / "spool"), **tree["spool"]}
        path.write_text(json.dumps({**tree, "spool": spool}))
        # a file that may not grow is an error to it, as a full disk is, not a signal
        super().__init__(BINARY, "run", "--config", path, stderr=subprocess.PIPE, restore_signals=False, **kwargs)
        self.log, self.admin = [], None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stderr:
            self.log.append(line)
            if '"started"' in line:
                self.admin = "http://" + json.loads(line)["admin"]

    def codes(self):
        return [json.loads(line).get("code") for line in self.log if line.startswith("{")]

    def wait_ready(self, seconds=20):
        def ready():
            if self.child.poll() is not None:
                raise AssertionError("ended: " + "".join(self.log))
            try:
                return self.admin and get(self.admin + "/readyz")
            except urllib.error.URLError:
                return None

        if not wait_for(ready, seconds):
            raise AssertionError("not ready: " + "".join(self.log[-20:]))
        return self

    def metrics(self) -> dict:
        lines = [line for line in get(self.admin + "/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def stop(self, how=signal.SIGTERM, seconds=15):
        started = time.monotonic()
        self.child.send_signal(how)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"does not stop within {seconds} s: " + "".join(self.log[-30:])) from late
        self.reader.join(5)
        return code, time.monotonic() - started

    def kill(self):
        self.stop(signal.SIGKILL)
        self.__exit__()

    def __exit__(self, *args):
        super().__exit__(*args)
        self.folder.cleanup()


def total(app: Trunkline, name: str) -> float:
    """A metric, its labels added up."""
    return sum(value for key, value in app.metrics().items() if key.split("{")[0] == name)


def coverage(app: Trunkline) -> dict:
    """What the status page says of the only shard."""
    return json.loads(get(app.admin + "/api/v1/status"))["coverage"].get("0", {})


def proven(app: Trunkline) -> float:
    """Up to when coverage is proven, in seconds since 1970; 0 for not at all."""
    return (coverage(app).get("proven_to_ms") or 0) / 1000


def ask(tree: dict, *words) -> tuple[int, list[dict], str]:
    """A command of the binary with `--output json`: exit code, lines, what it complained of."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trunkline.yaml"
        path.write_text(json.dumps(tree))
        run = subprocess.run([BINARY, *words, "--config", path, "--output", "json"], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return run.returncode, lines, run.stderr


class Server:
    """Listens on a free port; `one` serves a client, in a thread of its own."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(client,), daemon=True).start()

    def close(self):
        self.listener.close()


class FrameServer(Server):
    """A WebSocket server that sends the given messages to every client and then stays quiet."""

    def __init__(self, messages):
        self.messages = messages
        super().__init__()
        self.url = f"ws://{self.address}/stream"

    def one(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        for message in self.messages:
            text = isinstance(message, str)
            data = message.encode() if text else message
            length = len(data)
            size = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length) if length < 65536 else b"\x7f" + struct.pack(">Q", length)
            client.sendall(bytes([0x81 if text else 0x82]) + size + data)
        while client.recv(4096):
            pass
