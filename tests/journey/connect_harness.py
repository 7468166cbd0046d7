"""A stand-in for the REST interface of Kafka Connect: keeps connectors, says what it is told to say."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

DECLARED = {"connector.class": "STRING", "tasks.max": "INT", "topics": "LIST", "flush.size": "INT", "store.url": "STRING", "store.key": "PASSWORD"}


class Connect:
    """`configs` by name; `states` says otherwise than RUNNING; `busy` answers of 409 come first; `asked` is what was asked for."""

    def __init__(self, user: str | None = None):
        self.configs, self.states, self.busy, self.asked = {}, {}, 0, []
        self.user, self.traces = user, {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.serve(self)

            do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        self.asked.append((handler.command, handler.path))
        expected = self.user and "Basic " + base64.b64encode(self.user.encode()).decode()
        code, answer = (401, {"message": "no"}) if handler.headers.get("authorization") != expected else self.answer(handler.command, handler.path, body)
        text = json.dumps(answer).encode()
        handler.send_response(code)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def answer(self, method: str, path: str, body):
        match [method, *(unquote(part) for part in path.strip("/").split("/"))]:
            case ["GET", ""]:
                return 200, {"version": "4.3.1", "commit": "x", "kafka_cluster_id": "y"}
            case ["GET", "connectors", name, what] if name not in self.configs:
                return 404, {"error_code": 404, "message": f"No status found for connector {name}"}
            case ["GET", "connectors", name, "config"]:
                return 200, self.configs[name]
            case ["GET", "connectors", name, "status"]:
                connector, task = self.states.get(name, ("RUNNING", "RUNNING"))
                trace = {"trace": self.traces[name]} if name in self.traces else {}
                tasks = [{"id": 0, "state": task, "worker_id": "w:1", **trace}]
                return 200, {"name": name, "connector": {"state": connector, "worker_id": "w:1"}, "tasks": tasks, "type": "sink"}
            case ["PUT", "connectors", name, "config"]:
                if self.busy:
                    self.busy -= 1
                    return 409, {"error_code": 409, "message": "Cannot complete request momentarily due to stale configuration"}
                self.configs[name] = {"name": name, **body}
                return 201, {"name": name}
            case ["PUT", "connector-plugins", plugin, "config", "validate"]:
                if plugin != "S3":
                    return 400, {"error_code": 400, "message": f"Failed to find any class that implements Connector and which name matches {plugin}\nand more"}
                return 200, self.validation(body)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    @staticmethod
    def validation(body: dict) -> dict:
        wrong = {}
        if "name" not in body:
            wrong["name"] = ['Missing required configuration "name" which has no default value.']
        if not body.get("flush.size", "1").isdigit():
            wrong["flush.size"] = [f"Invalid value {body['flush.size']} for configuration flush.size: Not a number of type INT"]
        configs = [
            {"definition": {"name": key, "type": kind}, "value": {"name": key, "value": body.get(key), "errors": wrong.get(key, [])}}
            for key, kind in {**DECLARED, "name": "STRING"}.items()
        ]
        return {"name": "S3", "error_count": len(wrong), "groups": [], "configs": configs}
