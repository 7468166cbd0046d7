"""A StatefulSet's pods: started together, replaced one by one, the highest ordinal first."""

import time

import chart
from pod import Pod

PATIENCE = 300  # seconds


class NotStarted(Exception):
    """A pod that cannot be started; the others go on."""


class Set:
    """What one release has rendered, and the pods that run of it."""

    def __init__(self, secrets: dict):
        self.secrets, self.pods = secrets, {}

    def pod(self, ordinal: int) -> Pod:
        maps = {item["metadata"]["name"]: item["data"] for item in self.objects if item["kind"] == "ConfigMap"}
        try:
            return Pod(self.manifest, ordinal, maps, self.secrets)
        except (KeyError, RuntimeError) as error:
            raise NotStarted(str(error)) from error

    def render(self, values: dict):
        self.objects = chart.objects(values)
        self.manifest = next(item for item in self.objects if item["kind"] == "StatefulSet")

    def install(self, values: dict):
        """Returns when all are ready."""
        self.render(values)
        if self.manifest["spec"]["podManagementPolicy"] != "Parallel":
            raise ValueError(f"podManagementPolicy is {self.manifest['spec']['podManagementPolicy']}; allowed here: Parallel")
        for ordinal in range(self.manifest["spec"]["replicas"]):
            self.pods[ordinal] = self.pod(ordinal)
        for pod in self.pods.values():
            self.until_ready(pod)

    def upgrade(self, values: dict) -> list[tuple[int, float, Pod]]:
        """Replaces each when the one before has been ready for `minReadySeconds`; exit code and seconds of those that were stopped."""
        self.render(values)
        ended = []
        for ordinal in reversed(range(self.manifest["spec"]["replicas"])):
            if old := self.pods.pop(ordinal, None):
                ended.append((*old.stop(), old))
            self.pods[ordinal] = self.pod(ordinal)
            self.until_ready(self.pods[ordinal], self.manifest["spec"]["minReadySeconds"])
        return ended

    def until_ready(self, pod: Pod, for_seconds: float = 0):
        end = time.monotonic() + PATIENCE
        while not (pod.ready_since and time.monotonic() - pod.ready_since >= for_seconds):
            if pod.restarts or time.monotonic() > end:
                raise TimeoutError(f"{pod.name} is not ready; restarts: {pod.restarts}; it said last: {pod.log.read_text()[-1000:]}")
            time.sleep(0.2)

    def uninstall(self):
        for pod in self.pods.values():
            pod.stop()
        self.pods = {}
