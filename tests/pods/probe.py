"""One probe of a pod's template."""

import urllib.error
import urllib.request


class Probe:
    """How often it asks, and what it makes of the answers."""

    def __init__(self, spec: dict, address: str, port: int):
        self.spec, self.url = spec, f"http://{address}:{port}{spec['httpGet']['path']}"
        self.failures, self.passed, self.due = 0, False, 0.0

    def look(self, now: float):
        """Asks when it is time."""
        if now < self.due:
            return
        self.due = now + self.spec["periodSeconds"]
        try:
            urllib.request.urlopen(self.url, timeout=self.spec["timeoutSeconds"]).read()
            self.failures, self.passed = 0, True
        except (urllib.error.URLError, OSError):
            self.failures += 1
            if self.failed():
                self.passed = False

    def failed(self) -> bool:
        return self.failures >= self.spec["failureThreshold"]
