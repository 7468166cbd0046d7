"""The bucket as the warehouse's tests read it: objects are fetched, and what COPY would read lies beside each."""

import json
import pathlib
from datetime import datetime, timezone

import fastavro
from ground import BUCKET
from lake import Lake, timed


def plain(value):
    """Times as milliseconds, as COPY finds them in Avro."""
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=value.tzinfo or timezone.utc).timestamp() * 1000)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


class Bucket(Lake):
    """Objects of a real S3 server; `fetch` brings the folder up to date."""

    def __init__(self, client, folder: pathlib.Path):
        super().__init__(folder)
        self.client, self.tags, self.rows = client, {}, {}
        """`rows` by key: `(partition, offset, event_id)` of each record."""

    def objects(self) -> list[dict]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="topics/")
        return [entry for page in pages for entry in page.get("Contents", ())]

    def fetch(self) -> list[dict]:
        """Fetches what is new or was overwritten; returns the listing."""
        self.listed = self.objects()
        for entry in self.listed:
            key = entry["Key"]
            if self.tags.get(key) == entry["ETag"]:
                continue
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(BUCKET, key, str(path))
            self.tags[key] = entry["ETag"]
            self.spell(path)
        for key in self.tags.keys() - {entry["Key"] for entry in self.listed}:
            del self.tags[key], self.rows[key]
            self.remove(self.folder / key)
        return self.listed

    def spell(self, path: pathlib.Path) -> None:
        lines, rows = [], []
        with path.open("rb") as file:
            for record in fastavro.reader(file):
                record = plain(record)
                record.pop("payload", None)  # no column: it stays in S3
                rows.append((record["kafka_partition"], record["kafka_offset"], record.get("event_id")))
                lines.append(json.dumps(timed(record)))
        path.with_name(path.name + ".rows").write_text("\n".join(lines))
        self.rows[str(path.relative_to(self.folder))] = rows

    def listing(self, prefix: str = "topics/") -> str:
        """What `aws s3api list-objects-v2` prints of this bucket."""
        return json.dumps({"Contents": [
            {"Key": entry["Key"], "Size": entry["Size"], "LastModified": entry["LastModified"].isoformat()}
            for entry in self.fetch() if entry["Key"].startswith(prefix)]})

    def of_events(self) -> dict:
        return {key: rows for key, rows in self.rows.items() if "/genesys.conversation.events/" in key}
