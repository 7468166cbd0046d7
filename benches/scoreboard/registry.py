"""A schema registry for everybody: keeps what it is given, in memory, and can be away for a while."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LEVEL = {"compatibilityLevel": "FULL_TRANSITIVE", "compatibility": "FULL_TRANSITIVE"}


class Registry:
    def __init__(self):
        self.schemas, self.subjects, self.lock = [], {}, threading.Lock()
        self.server, self.port = None, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Listens, the second time on the port it had before."""
        handler = type("Handler", (Handler,), {"registry": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self):
        """From now on connections are refused."""
        self.server.shutdown()
        self.server.server_close()

    def register(self, subject: str, text: str) -> dict:
        with self.lock:
            if text not in self.schemas:
                self.schemas.append(text)
            number, ids = self.schemas.index(text) + 1, self.subjects.setdefault(subject, [])
            if number not in ids:
                ids.append(number)
            return {"subject": subject, "version": ids.index(number) + 1, "id": number, "schema": text}

    def answer(self, method: str, path: str, body: dict):
        """What is asked for, or `None`."""
        if path.startswith("/config"):
            return LEVEL
        if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
            number = int(found[1])
            return {"schema": self.schemas[number - 1]} if 0 < number <= len(self.schemas) else None
        if path == "/subjects":
            return list(self.subjects)
        found = re.fullmatch(r"/subjects/([^/]+)(/versions)?(?:/(latest|\d+))?", path)
        if not found:
            return None
        subject, listed, version = found.groups()
        if method == "POST" and listed:
            return self.register(subject, body["schema"])
        ids = self.subjects.get(subject)
        if not ids:
            return None
        versions = [self.register(subject, self.schemas[number - 1]) for number in ids]
        if method == "POST":
            return next((v for v in versions if v["schema"] == body["schema"]), None)
        if version is None:
            return [v["version"] for v in versions]
        return versions[-1] if version == "latest" else next((v for v in versions if v["version"] == int(version)), None)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class Handler(BaseHTTPRequestHandler):
    registry: Registry

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        found = self.registry.answer(self.command, self.path.split("?")[0], body)
        data = json.dumps(found if found is not None else {"error_code": 40401, "message": "not found"}).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = serve

    def log_message(self, *_):
        pass
