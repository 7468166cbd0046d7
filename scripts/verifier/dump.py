"""Reads what was exported from Kafka: a folder of JSON lines."""

import base64
import json
import pathlib
from dataclasses import dataclass

from .avro import Schemas

TOPICS = {
    "events": "genesys.conversation.events",
    "quarantine": "genesys.conversation.quarantine",
    "gaps": "genesys.conversation.gaps",
    "certificates": "genesys.conversation.certificates",
    "state": "trunkline.state",
}


class Unusable(Exception):
    """The input is not what the usage says."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One record of one topic."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: dict
    timestamp: int
    value: bytes
    """Empty for a tombstone."""

    @property
    def place(self) -> str:
        return f"{self.topic} {self.partition}/{self.offset}"


class Dump:
    """A folder: every `*.jsonl` but `ledger.jsonl` holds records; `schemas.json`; `meta.json` if there is one."""

    def __init__(self, folder: str, topics: dict | None = None):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise Unusable(f"{folder} is no folder")
        meta = self.folder / "meta.json"
        self.meta = _json(meta) if meta.exists() else {}
        named = {role: self.meta[f"{role}_topic"] for role in TOPICS if f"{role}_topic" in self.meta}
        self.roles = {name: role for role, name in {**TOPICS, **named, **(topics or {})}.items()}
        self.schemas = Schemas(_json(self.folder / "schemas.json"))
        self.ledger_path = self.folder / "ledger.jsonl"
        self.has_ledger = self.ledger_path.exists()
        self.files = sorted(path for path in self.folder.glob("*.jsonl") if path != self.ledger_path)
        if not self.files:
            raise Unusable(f"{folder} holds no records: no *.jsonl")

    def records(self):
        """`(role, Raw)` of every record of a topic that has a role; others are passed over."""
        for path in self.files:
            for line in _lines(path):
                role = self.roles.get(line.get("topic"))
                if role is not None:
                    yield role, _raw(line, path)

    def ledger(self):
        """Lines of the simulator's ledger."""
        return _lines(self.ledger_path) if self.has_ledger else iter(())


def _raw(line: dict, path) -> Raw:
    try:
        return Raw(
            line["topic"], int(line["partition"]), int(line["offset"]), line.get("key"), line.get("headers") or {},
            int(line.get("timestamp") or 0), base64.b64decode(line["value_b64"] or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{path}: a line is no record: {error!r}") from error


def _json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise Unusable(f"{path} cannot be read: {error}") from error


def _lines(path):
    with path.open(encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise Unusable(f"{path}:{number} is no JSON: {error}") from error
