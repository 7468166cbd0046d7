"""What goes wrong, for every system at the same moment. `strike(world)` starts it, `watch` says how long one looks."""

import time
from dataclasses import dataclass
from typing import Callable

STORM, NOTICE, LOOP, AWAY, BROKER = 20, 30, 30, 20, 60
FAST = 1440  # a day of a channel's life in a minute


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    what: str
    watch: int
    strike: Callable
    scale: int = 1
    tail: int = 6  # seconds after the watch in which what was held back may still be written


def one(what, **rest):
    """A fault of each simulator's oldest socket."""
    return lambda world: world.fault(what, whom="oldest", **rest)


def accept_close(world):
    world.fault("accept_close", whom="all", for_ms=LOOP * 1000)
    world.fault("reset", whom="all")


def storm(world):
    for path in ({}, {"path": "/channels/"}):
        world.fault("http_status", whom="all", for_ms=STORM * 1000, args={"status": 429, "retry_after": "10", **path})
    world.fault("reset", whom="all")


def broker(world):
    world.broker_down()
    time.sleep(BROKER)
    world.broker_up()


def registry(world):
    world.registry.stop()
    world.each(lambda system: system.restart())
    time.sleep(AWAY)
    world.registry.start()


def nothing(_):
    """Lives simply end."""


ALL = [
    Scenario("reset", "socket reset", "the TCP connection of the oldest socket is reset", 15, one("reset")),
    Scenario("close", "clean close, 1001", "the platform closes the oldest socket with 1001", 15, one("close", args={"code": 1001})),
    Scenario("half_open", "half-open socket", "the oldest socket stays open and carries nothing any more, in either direction", 75, one("half_open")),
    Scenario("kill", "SIGKILL in mid-stream", "the process is killed; of two replicas one", 20,
             lambda world: world.each(lambda system: system.kill())),
    Scenario("accept_close", "accept, then close",
             f"every socket is reset, and for {LOOP} s each new one is closed at once", LOOP + 40, accept_close),
    Scenario("maintenance", "maintenance with notice",
             f"every open socket is told that it will be closed, and is, with 1001, {NOTICE} s later", NOTICE + 20,
             lambda world: world.fault("socket_closing", whom="all", for_ms=NOTICE * 1000)),
    Scenario("expiry", "end of a channel's life",
             f"channels and tokens live a day, of a clock that runs {FAST} times as fast; a URL whose channel has ended is refused",
             75, nothing, FAST),
    Scenario("broker", "Kafka down", f"the broker is killed and started again {BROKER} s later", BROKER + 30, broker, tail=45),
    Scenario("registry", "registry down",
             f"the registry is away for {AWAY} s, and the process is restarted in that time; of two replicas one", AWAY + 30, registry),
    Scenario("storm", "429 storm",
             f"every socket is reset, and for {STORM} s requests and dials are answered 429, Retry-After: 10", STORM + 40, storm),
]
BY_NAME = {scenario.name: scenario for scenario in ALL}
QUICK = ("reset", "close", "half_open", "kill")
