"""`trunkline staging` on real parts: connectors set up from files, the sink killed, paid attention to, and back again.

usage: staging.py

exit 0 when every line is what it has to be. Needs what `make stack` needs (scripts/setup.sh --for stack).
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from connectors import connector
from ground import EVENTS, TOPICS, Ground, say
from harness import BINARY, config, wait_for

NAMES = [f"trunkline-{role}" for role in TOPICS]


class Staged(Ground):
    """Its connectors are set up by the product, and both replicas look at them."""

    def put_connectors(self):
        self.options = {"staging__connect_url": self.connect.url, "staging__poll_secs": 10}
        self.files = pathlib.Path(tempfile.mkdtemp(dir=self.group.folder))
        for role in TOPICS:
            (self.files / f"{role}.json").write_text(json.dumps(connector(role, self.s3.url, self.registry, self.replicas)))
        self.path = self.files / "trunkline.yaml"
        own = {"kafka__bootstrap_servers": self.bootstrap, "schema_registry__url": self.registry + "/apis/ccompat/v7", **self.options}
        self.path.write_text(json.dumps(config(self, "http://127.0.0.1:1", **own)))

    def ask(self, *words, code: int | None = None, quiet: bool = False) -> list[str]:
        run = subprocess.run([BINARY, "staging", *words, "--config", self.path], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
        lines = (run.stdout + run.stderr).splitlines()
        if not quiet:
            say(f"trunkline staging {' '.join(map(str, words))}: exit code {run.returncode}")
            print("\n".join(f"    {line}" for line in lines), file=sys.stderr, flush=True)
        if code is not None and run.returncode != code:
            raise AssertionError(f"exit code {run.returncode}, not {code}")
        return lines

    def line(self, about: str, name: str, lines: list[str]) -> str:
        return next(line for line in lines if line.split()[1] == about and name in line)

    def until(self, what, seconds: float = 240) -> list[str]:
        """Looks until the lines are as wanted; shows the last ones."""
        found = wait_for(lambda: what(self.ask(quiet=True)), seconds, 3)
        lines = self.ask()
        if not found:
            raise AssertionError("it does not come to that")
        return lines

    def keep(self, ms: int):
        entry = ConfigEntry("retention.ms", str(ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, EVENTS, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result()


def lag(ground: Staged) -> float:
    app = ground.apps["a"]
    return app.metrics().get(f'trunkline_staging_lag_records{{connector="trunkline-events",topic="{EVENTS}"}}', -1)


def apply(ground: Staged):
    missing = ground.ask(code=1)
    assert sum("does not exist; trunkline staging apply" in line for line in missing) == len(NAMES), missing
    shown = ground.ask("apply", "--dir", ground.files, "--dry-run", code=1)
    assert f"{len(NAMES)} would be applied; nothing was changed" in shown
    ground.ask("apply", "--dir", ground.files, "--yes", code=0)
    assert ground.ask("apply", "--dir", ground.files, "--yes", code=0)[-1] == "nothing differs"
    ground.until(lambda lines: sum(" is RUNNING, 1 of 1 tasks too" in line for line in lines) == len(NAMES))


def killed(ground: Staged):
    ground.until(lambda lines: ground.line("lag", "trunkline-events", lines).startswith("ok"))
    say("Kafka Connect is killed")
    ground.group.end("connect")
    before = lag(ground)
    time.sleep(25)
    lines = ground.ask(code=1)
    assert ground.line("connect", "does not answer", lines).startswith("ACT")
    up = 'trunkline_staging_connector_up{connector="trunkline-events"}'
    assert wait_for(lambda: lag(ground) > max(before, 100) and ground.apps["a"].metrics()[up] == 0, 60, 1), (before, lag(ground))
    say(f"metrics of a replica: lag {before:.0f} before, {lag(ground):.0f} now, the connector is not up")
    ground.connect.start()
    ground.until(lambda lines: "RUNNING" in ground.line("connector", "trunkline-events", lines))


def failed(ground: Staged):
    say("a connector that is configured wrongly")
    wrong = connector("gaps", ground.s3.url, ground.registry, ground.replicas) | {"timezone": "Mars"}
    ground.connect.put("trunkline-gaps", wrong)
    lines = ground.until(lambda lines: "FAILED" in ground.line("connector", "trunkline-gaps", lines), 60)
    assert "timezone" in ground.line("connector", "trunkline-gaps", lines), lines
    shown = ground.ask("apply", "--dir", ground.files, "--yes", code=0)
    assert "  ~ timezone: Mars -> UTC" in shown
    ground.until(lambda lines: ground.line("connector", "trunkline-gaps", lines).startswith("ok"), 60)


def letters(ground: Staged):
    say("a record that is no record")
    producer = Producer({"bootstrap.servers": ground.bootstrap})
    producer.produce(EVENTS, b"no schema, no magic byte", partition=0)
    producer.flush(30)
    lines = ground.until(lambda lines: ground.line("letters", "trunkline-events", lines).startswith("ACT"), 120)
    assert "1 dead letters in genesys.conversation.events.s3-dlq" in ground.line("letters", "trunkline-events", lines)


def kept(ground: Staged):
    say("retention of an hour, and the longest outage is three days")
    ground.keep(3_600_000)
    lines = ground.ask(code=1)
    assert f"{EVENTS} keeps records for 60 min, staging.longest_outage_secs is 3.0 days" in ground.line("retention", EVENTS, lines)
    ground.keep(14 * 86_400_000)
    assert "keeps records for 14.0 days" in ground.line("retention", EVENTS, ground.ask())


def main() -> int:
    if len(sys.argv) > 1:
        print(__doc__, file=sys.stderr)
        return 64
    ground, began = Staged(1, 20, 1_000_000, 1), time.monotonic()
    try:
        ground.start()
        apply(ground)
        ground.start_traffic()
        for part in (killed, failed, letters, kept):
            part(ground)
    finally:
        ground.close()
    print(f"staging: pass, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
