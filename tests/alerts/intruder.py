"""A process that has a copy of our volume: it opens sockets on the channels that it finds there."""

import json
import pathlib
import socket
import urllib.parse


def addresses(kept) -> list[str]:
    """Addresses of channels, wherever the file has them."""
    if isinstance(kept, str):
        return [kept] if kept.startswith(("ws://", "wss://")) else []
    children = kept.values() if isinstance(kept, dict) else kept if isinstance(kept, list) else []
    return [found for child in children for found in addresses(child)]


def take_channel(spool: pathlib.Path):
    """Takes the channel that was noted last, and lets go of it."""
    newest = urllib.parse.urlsplit(addresses(json.loads((spool / "channels.json").read_text()))[-1])
    with socket.create_connection((newest.hostname, newest.port), timeout=5) as stream:
        stream.sendall((
            f"GET {newest.path} HTTP/1.1\r\nHost: {newest.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode())
        stream.recv(4096)
