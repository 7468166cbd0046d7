"""A real Apache Kafka and a real schema registry, as `scripts/testbed` runs them."""

import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "journey"), str(HERE.parents[1] / "scripts")]
from testbed import registry as apicurio  # noqa: E402
from testbed.brokers import Brokers  # noqa: E402
from testbed.group import Group, free_ports  # noqa: E402, F401

CACHE = HERE.parents[1] / "target" / "live"


def say(text: str):
    print(f"live: {text}", file=sys.stderr, flush=True)


class Cluster(Brokers):
    """`brokers` Kafka nodes, each broker and controller, and one registry unless there is another.
    `settings` change those of the nodes; clients come by the listener `listener`, to which they say who they are."""

    def __init__(self, brokers: int = 3, registry: bool = True, listener: str = "PLAINTEXT", settings: dict | None = None):
        shutil.rmtree(CACHE / "run", ignore_errors=True)
        super().__init__(Group(CACHE / "run"), brokers, listener, settings)
        self.with_registry = registry

    def __enter__(self):
        try:
            self.start_all()
            if self.with_registry:
                self.registry = apicurio.start(self.group) + "/apis/ccompat/v7"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.group.end_all()
