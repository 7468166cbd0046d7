"""Compares what was received with the models of the SDK it was read with."""

import json
from collections import Counter

import PureCloudPlatformClientV2
from PureCloudPlatformClientV2 import models

PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "datetime": str, "date": str}
# what a setter of the SDK makes of a value that its list does not have
OUTDATED = "outdated_sdk_version"


class Text:
    """An answer of the SDK's kind around a text that came another way."""

    def __init__(self, text: str):
        self.data = text

    def getheader(self, _name: str) -> str:
        return "application/json"


class Comparison:
    """Counts what was compared; collects what the models do not know."""

    def __init__(self, client: PureCloudPlatformClientV2.ApiClient):
        self.client, self.count, self.models = client, 0, Counter()
        self.complaints: list[str] = []
        self.unknown: Counter = Counter()

    def read(self, text: str, kind: str):
        """Lets the SDK make an object of a text, and compares the two."""
        try:
            found = self.client.deserialize(Text(text), kind)
        except (TypeError, ValueError, AttributeError) as error:
            self.complaints.append(f"{kind} cannot be read: {error!r}: {text[:300]}")
            return
        self.compare(json.loads(text), found, kind)

    def compare(self, raw, found, kind: str):
        self.count += 1
        self.models[kind] += 1
        self.walk(raw, found, kind, kind)

    def walk(self, raw, found, kind: str, path: str):
        if raw is None or found is None:
            self.complaints.append(f"{path} is {raw!r}, read as {found!r}")
        elif kind.startswith("list["):
            if not isinstance(raw, list) or len(raw) != len(found):
                self.complaints.append(f"{path} is no list, or another one: {raw!r}")
                return
            for one, read in zip(raw, found):
                self.walk(one, read, kind[5:-1], f"{path}[]")
        elif kind.startswith("dict("):
            for key, one in raw.items():
                self.walk(one, found[key], kind[5:-1].split(", ", 1)[1], f"{path}{{}}")
        elif kind in PLAIN:
            if not isinstance(raw, PLAIN[kind]) or (kind != "bool" and isinstance(raw, bool)):
                self.complaints.append(f"{path} is {raw!r}, not {kind}")
            elif found == OUTDATED:
                self.unknown[f"{path} = {raw}"] += 1
        elif kind != "object":
            self.members(raw, found, kind, path)

    def members(self, raw: dict, found, kind: str, path: str):
        if not isinstance(raw, dict) or not isinstance(found, getattr(models, kind)):
            self.complaints.append(f"{path} is no {kind}: {raw!r}")
            return
        attributes = {key: name for name, key in found.attribute_map.items()}
        for key, one in raw.items():
            if key in attributes:
                name = attributes[key]
                self.walk(one, getattr(found, name), found.swagger_types[name], f"{path}.{key}")
            else:
                self.unknown[f"{path}.{key}"] += 1
