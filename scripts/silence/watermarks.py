"""Since when each record could be read, as the broker says: asked again and again, by one request for all
partitions. What can be read is acknowledged, so this is event → ack as seen from outside the connector."""

import bisect
import socket
import struct
import threading
import time

LIST_OFFSETS, VERSION, LATEST, EVERY = 2, 1, -1, 0.005


def request(topic: str, partitions: int) -> bytes:
    name = topic.encode()
    header = struct.pack(">hhih", LIST_OFFSETS, VERSION, 0, -1)
    body = struct.pack(">iih", -1, 1, len(name)) + name + struct.pack(">i", partitions)
    body += b"".join(struct.pack(">iq", partition, LATEST) for partition in range(partitions))
    return struct.pack(">i", len(header + body)) + header + body


def ends(answer: bytes) -> dict[int, int]:
    """The end of each partition in an answer."""
    (length,) = struct.unpack_from(">h", answer, 8)  # after the correlation id and the number of topics
    at = 10 + length
    (count,) = struct.unpack_from(">i", answer, at)
    found = {}
    for n in range(count):
        partition, error, _, offset = struct.unpack_from(">ihqq", answer, at + 4 + n * 22)
        if error == 0:
            found[partition] = offset
    return found


class Watermarks(threading.Thread):
    def __init__(self, bootstrap: str, topic: str, partitions: int = 12):
        super().__init__(daemon=True)
        host, port = bootstrap.split(",")[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.asking = request(topic, partitions)
        self.steps = {partition: ([0], [0.0]) for partition in range(partitions)}  # ends, and since when
        self.newest = 0.0
        self.over = False

    def run(self):
        with self.socket, self.socket.makefile("rb") as answers:
            over = False
            while not over:
                over = self.over  # asked once more after the stop: everything acknowledged by then is seen
                self.socket.sendall(self.asking)
                (size,) = struct.unpack(">i", answers.read(4))
                found, now = ends(answers.read(size)), time.time()
                for partition, end in found.items():
                    known, since = self.steps[partition]
                    if end > known[-1]:
                        known.append(end)
                        since.append(now)
                        self.newest = now
                time.sleep(EVERY)

    def stop(self):
        self.over = True
        self.join()

    def since(self, partition: int, offset: int) -> float:
        known, times = self.steps[partition]
        return times[bisect.bisect_right(known, offset)]
