"""A real Prometheus and a real Alertmanager on free ports, and a receiver that keeps what it is sent."""

import http.server
import json
import pathlib
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import yaml


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def get(url: str):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Daemon:
    """A server that is up when its readiness says so; its log lies in the folder."""

    def __init__(self, name: str, folder: pathlib.Path, *command):
        self.log = (folder / f"{name}.log").open("w")
        self.child = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while True:
            try:
                get(f"{self.url}/-/ready")
                return
            except OSError:
                if self.child.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"{name} does not start: " + (folder / f"{name}.log").read_text()[-2000:]) from None
                time.sleep(0.1)

    def stop(self):
        self.child.terminate()
        self.child.wait(20)
        self.log.close()


class Receiver:
    """What Alertmanager delivers: (seconds since 1970, alert), in order."""

    def __init__(self):
        self.got, self.lock = [], threading.Lock()
        keep = self.keep

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                keep(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, body: dict):
        with self.lock:
            self.got += [(time.time(), alert) for alert in body["alerts"] if alert["status"] == "firing"]

    def of(self, job: str) -> dict[str, tuple[float, dict]]:
        """Alerts of a job by name, each as it came first."""
        with self.lock:
            found = {}
            for at, alert in self.got:
                if alert["labels"].get("job") == job:
                    found.setdefault(alert["labels"]["alertname"], (at, alert))
            return found


class Alertmanager(Daemon):
    def __init__(self, folder: pathlib.Path, receiver: Receiver):
        self.url = f"http://127.0.0.1:{free_port()}"
        route = {"receiver": "test", "group_by": ["..."], "group_wait": "100ms", "group_interval": "1s", "repeat_interval": "1h"}
        hooks = [{"url": receiver.url, "send_resolved": True}]
        (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": [{"name": "test", "webhook_configs": hooks}]}))
        address = self.url.removeprefix("http://")
        super().__init__("alertmanager", folder, "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
                         f"--web.listen-address={address}", "--cluster.listen-address=")


class Prometheus(Daemon):
    """Scrapes what `targets` is told, once a second, under the labels that the operator gives."""

    def __init__(self, name: str, folder: pathlib.Path, rules: dict, alertmanager: str | None):
        self.url, self.known, self.lock = f"http://127.0.0.1:{free_port()}", {}, threading.Lock()
        self.file = folder / f"{name}-targets.json"
        self.write()
        (folder / f"{name}-rules.yaml").write_text(yaml.safe_dump(rules))
        tree = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{name}-rules.yaml"],
            "scrape_configs": [{"job_name": "trunkline", "file_sd_configs": [{"files": [self.file.name], "refresh_interval": "1s"}]}],
        }
        if alertmanager:
            tree["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}]}
        (folder / f"{name}.yml").write_text(yaml.safe_dump(tree))
        super().__init__(name, folder, "prometheus", f"--config.file={name}.yml", f"--storage.tsdb.path={name}-data",
                         f"--web.listen-address={self.url.removeprefix('http://')}")

    def write(self):
        groups = [{"targets": [admin.removeprefix("http://")], "labels": {"job": job, "namespace": "streaming"}} for admin, job in self.known.items()]
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps(groups))
        beside.replace(self.file)

    def scrape(self, admin: str, job: str):
        with self.lock:
            self.known[admin] = job
            self.write()

    def forget(self, job: str):
        with self.lock:
            self.known = {admin: other for admin, other in self.known.items() if other != job}
            self.write()

    def ask(self, query: str, **more) -> list[dict]:
        """Series of an instant query, or of a range with `start`, `end` and `step`."""
        path = "query_range" if more else "query"
        answer = json.loads(get(f"{self.url}/api/v1/{path}?" + urllib.parse.urlencode({"query": query, **more})))
        return answer["data"]["result"]
