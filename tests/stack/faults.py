"""What breaks while events flow: a list of seconds and deeds, done in a thread beside the traffic."""

import signal
import threading
import time

from confluent_kafka import KafkaException
from ground import Ground, say
from watch import lag

# seconds after the first event, and what
DEFAULT = [
    (15, "connect killed"), (20, "connect started"), (80, "s3 killed"), (105, "s3 started"), (115, "broker 2 killed"), (130, "broker 2 started"),
    (140, "replica a killed"), (143, "replica a started"), (160, "platform away for 6 s"), (175, "connect killed"), (180, "connect started"),
]
SECONDS = 200


class Breaking:
    def __init__(self, ground: Ground, script: list):
        self.ground, self.script, self.trouble = ground, script, []
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        began = time.monotonic()
        for at, what in self.script:
            time.sleep(max(0, began + at - time.monotonic()))
            say(what)
            try:
                self.act(*what.split(" ", 1))
            except Exception as error:  # a deed that fails is a finding, and the next ones are done
                self.trouble.append(f"{what}: {error!r}")

    def act(self, who: str, how: str):
        ground = self.ground
        if who == "connect":
            ground.group.end("connect") if how == "killed" else ground.connect.start()
        elif who == "s3":
            ground.group.end("s3") if how == "killed" else ground.s3.start()
        elif who == "broker":
            number, how = how.split()
            ground.brokers.signal(int(number), signal.SIGKILL) if how == "killed" else ground.brokers.start(int(number))
        elif who == "replica":
            name, how = how.split()
            ground.apps[name].kill() if how == "killed" else ground.start_app(name)
        else:
            ground.sim.fault("outage", for_ms=6_000)

    def lag(self) -> str:
        try:
            return str(lag(self.ground))
        except KafkaException as error:
            return f"unknown: {error}"

    def join(self) -> list[str]:
        self.thread.join(300)
        return self.trouble + (["faults are not done"] if self.thread.is_alive() else [])


def run(ground: Ground, wanted: bool) -> Breaking:
    return Breaking(ground, DEFAULT if wanted else [])
