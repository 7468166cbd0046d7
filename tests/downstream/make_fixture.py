"""Cuts a dump of `trunkline demo --dump DIR --events 2600 --rate 36 --seed 6` down to what can be committed.

usage: make_fixture.py DIR     writes fixtures/demo.jsonl.xz

Bodies are taken out, as with `payload` switched off, and values are hexadecimal, since xz packs that better.
Nothing else is changed. First line: schemas and meta.json; then the records of all topics, in their order.
"""

import base64
import io
import json
import lzma
import pathlib
import sys

import fastavro

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "demo.jsonl.xz"


def without_payload(value: bytes, schemas: dict) -> bytes:
    """The framed record with `payload` null."""
    schema = schemas[int.from_bytes(value[1:5], "big")]
    record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
    record["payload"] = None
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return value[:5] + out.getvalue()


def main(folder: str) -> None:
    """Writes the fixture."""
    source = pathlib.Path(folder)
    texts = json.loads((source / "schemas.json").read_text())
    meta = json.loads((source / "meta.json").read_text())
    meta.pop("org_id")  # without bodies no id can be derived
    schemas = {int(ident): fastavro.parse_schema(json.loads(text)) for ident, text in texts.items()}
    with lzma.open(FIXTURE, "wt", preset=9) as out:
        print(json.dumps({"schemas": texts, "meta": meta}), file=out)
        for name in ("records.jsonl", "proof.jsonl"):
            for line in (source / name).open():
                raw = json.loads(line)
                value = base64.b64decode(raw.pop("value_b64") or "")
                if raw["topic"] == meta["events_topic"]:
                    value = without_payload(value, schemas)
                print(json.dumps(raw | {"value_hex": value.hex()}, separators=(",", ":")), file=out)


if __name__ == "__main__":
    main(sys.argv[1])
