"""One pod of what the chart rendered, run by containerd and runc as its template says: the kubelet's part, as far as the chart uses it."""

import json
import pathlib
import re
import shutil
import threading
import time
import urllib.request

from containers.image import said
from containers.node import CGROUP
from containers.runtime import RUN
from network import Network, ctr
from probe import Probe

# what containerd grants without being asked
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"


def environment(entries: list[dict], ordinal: int) -> dict[str, str]:
    """As Kubernetes expands it: `$(NAME)` knows what stands above."""
    known = {}
    for entry in entries:
        if "valueFrom" in entry:
            path = entry["valueFrom"]["fieldRef"]["fieldPath"]
            if path != INDEX:
                raise ValueError(f"{entry['name']}: {path} is no field that is known here; allowed: {INDEX}")
            known[entry["name"]] = str(ordinal)
        else:
            known[entry["name"]] = re.sub(r"\$\(([A-Z0-9_]+)\)", lambda found: known.get(found[1], found[0]), entry["value"])
    return known


def bytes_of(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


class Pod(threading.Thread):
    """Runs until `stop`. Where a kubelet would start the container again (it ended, or a startup or liveness probe failed for good), that is
    counted, and nothing more is asked."""

    made = 0

    def __init__(self, stateful_set: dict, ordinal: int, config_maps: dict, secrets: dict):
        super().__init__(daemon=True)
        Pod.made += 1
        self.ordinal, self.template = ordinal, stateful_set["spec"]["template"]
        self.name = f"{stateful_set['metadata']['name']}-{ordinal}"
        self.id, self.spec = f"{self.name}.{Pod.made}", self.template["spec"]
        self.container, self.security = self.spec["containers"][0], self.spec["securityContext"]
        self.folder = RUN / "pods" / self.id
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self.mounts = {name: self.volume(name, config_maps, secrets, stateful_set) for name in (mount["name"] for mount in self.container["volumeMounts"])}
        self.started = self.ready = self.stopping = False
        self.restarts, self.ready_since = 0, None
        self.network = Network(self.id)
        try:
            ctr("run", "--detach", *self.flags(), self.container["image"], self.id, *json.loads(said("ENTRYPOINT")), *self.container["args"])
        except RuntimeError:
            self.network.close()
            raise
        self.start()

    def volume(self, name: str, config_maps: dict, secrets: dict, stateful_set: dict) -> pathlib.Path:
        group = self.security["fsGroup"]
        claims = [claim["metadata"]["name"] for claim in stateful_set["spec"].get("volumeClaimTemplates", [])]
        if name in claims:
            folder = RUN / "claims" / f"{name}-{self.name}"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, group=group)
            folder.chmod(0o2775)
            return folder
        source = next(volume for volume in self.spec["volumes"] if volume["name"] == name)
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True)
        if "configMap" in source:
            files, mode = {key: (key, text) for key, text in config_maps[source["configMap"]["name"]].items()}, 0o644
        else:
            held = secrets[source["secret"]["secretName"]]
            files, mode = {item["path"]: (item["key"], held.get(item["key"])) for item in source["secret"]["items"]}, source["secret"]["defaultMode"]
        for path, (key, text) in files.items():
            if text is None:
                raise KeyError(f"{self.name}: references non-existent secret key: {key}")
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            shutil.chown(file, group=group)
            file.chmod(mode)
        return folder

    def flags(self) -> list[str]:
        """The two security contexts, mounts, limits and variables in the words of containerd."""
        own, pod = self.container["securityContext"], self.security
        # containerd's own client has no word for it
        if f"{pod['runAsUser']}:{pod['runAsGroup']}" != said("USER"):
            raise ValueError(f"runAsUser and runAsGroup are {pod['runAsUser']}:{pod['runAsGroup']}; allowed here: the image's {said('USER')}")
        words = ["--log-uri", f"file://{self.log}", "--with-ns", f"network:{self.network.path}", "--cgroup", f"{CGROUP}/{self.id}",
                 "--memory-limit", str(bytes_of(self.container["resources"]["limits"]["memory"]))]
        words += ["--read-only"] if own["readOnlyRootFilesystem"] else []
        words += ["--allow-new-privs"] if own["allowPrivilegeEscalation"] else []
        words += ["--seccomp"] if pod["seccompProfile"]["type"] == "RuntimeDefault" else []
        if own["capabilities"]["drop"] == ["ALL"]:
            words += [word for name in CAPABILITIES for word in ("--cap-drop", f"CAP_{name}")]
        for mount in self.container["volumeMounts"]:
            options = "rbind:ro" if mount.get("readOnly") else "rbind:rw"
            words += ["--mount", f"type=bind,src={self.mounts[mount['name']]},dst={mount['mountPath']},options={options}"]
        return words + [word for name, value in environment(self.container["env"], self.ordinal).items() for word in ("--env", f"{name}={value}")]

    def run(self):
        port = next(port["containerPort"] for port in self.container["ports"] if port["name"] == "admin")
        startup, liveness, readiness = (Probe(self.container[f"{which}Probe"], self.network.address, port) for which in ("startup", "liveness", "readiness"))
        while not self.stopping:
            now = time.monotonic()
            if not self.started:
                startup.look(now)
                self.started = startup.passed
            else:
                liveness.look(now)
                readiness.look(now)
                self.ready_since = (self.ready_since or now) if readiness.passed else None
                self.ready = readiness.passed
            if startup.failed() or liveness.failed() or not self.pid():
                self.restarts += 1
                return
            time.sleep(0.5)

    def pid(self) -> int | None:
        """Of its first process; None when there is none any more."""
        lines = ctr("tasks", "ls").stdout.splitlines()
        return next((int(line.split()[1]) for line in lines if line.split()[0] == self.id and line.split()[2] == "RUNNING"), None)

    def stop(self) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after the grace period: exit code and seconds."""
        self.stopping = True
        began = time.monotonic()
        ctr("tasks", "kill", "-s", "SIGTERM", self.id, check=False)
        while self.pid() and time.monotonic() - began < self.spec["terminationGracePeriodSeconds"]:
            time.sleep(0.2)
        seconds = time.monotonic() - began
        ctr("tasks", "kill", "-s", "SIGKILL", self.id, check=False)
        code = ctr("tasks", "rm", self.id, check=False).returncode
        ctr("containers", "rm", self.id)
        self.network.close()
        self.join(10)
        return code, seconds

    def lines(self) -> list[dict]:
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def get(self, path: str) -> str:
        return urllib.request.urlopen(f"http://{self.network.address}:9464{path}", timeout=5).read().decode()
