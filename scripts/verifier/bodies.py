"""What is said of notification bodies and topics, once for both readers of a dump.

Identities need the package blake3 (`scripts/requirements.txt`); everything else is the standard library.
"""

import re
import struct
from datetime import datetime, timezone

try:
    import blake3
except ImportError:  # identities are not derived then; the verifier says so
    blake3 = None

HISTORY = ("backfill", "reconcile")
"""Origins of records that nobody heard: they come from the platform's history."""
TIME = re.compile(r'"(\d{4}-\d\d-\d\dT[0-9:.]+Z)"')
# a string, even one that does not end; or whatever is no whitespace
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[^" \n\r\t]+', re.DOTALL)


def canonical(body: str) -> bytes:
    """The body without whitespace outside strings."""
    return "".join(TOKEN.findall(body)).encode()


def identity(org: str, topic: str, body: bytes) -> str:
    """`event_id`: 16 bytes of BLAKE3 over length-prefixed organisation, topic and canonical body."""
    hasher = blake3.blake3()
    for part in (org.encode(), topic.encode(), body):
        hasher.update(struct.pack("<Q", len(part)) + part)
    return hasher.hexdigest()[:32]


def digest(body: bytes) -> str:
    """`body_digest`: 16 bytes of BLAKE3 over the canonical body alone."""
    return blake3.blake3(body).hexdigest()[:32]


def millis(value):
    """Milliseconds since 1970 of a datetime; anything else as it is."""
    if isinstance(value, datetime):
        value = value.astimezone(timezone.utc)
        return int((value - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000 + 0.5)
    return value


def source_millis(text):
    """Milliseconds since 1970 of an ISO-8601 text or of a number; `None` stays `None`."""
    if text is None or isinstance(text, int):
        return text
    return millis(datetime.fromisoformat(text.replace("Z", "+00:00")))


def newest_time(text: str):
    """The newest ISO-8601 time anywhere in a JSON text, milliseconds since 1970."""
    return max((source_millis(found) for found in TIME.findall(text)), default=None)


def class_of(topic: str) -> str:
    """The topic with `{id}` in the place of ids."""
    return ".".join("{id}" if len(part) == 36 and part.count("-") == 4 else part for part in topic.split("."))
