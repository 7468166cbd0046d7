"""Apicurio Registry, with the Confluent API. Schemas are in memory: after a restart ids begin at 1 again."""

import urllib.request

from . import fetch
from .brokers import SMALL
from .group import Group, free_ports


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def start(group: Group, canonical: bool = False, host: str = "127.0.0.1") -> str:
    """Its root; the Confluent API is below `/apis/ccompat/v7`. `canonical`: a schema is found whatever its spelling."""
    jar = fetch.registry()
    fetch.say("starting the registry")
    port, management = free_ports(2)
    flags = [f"-Dquarkus.http.host={host}", f"-Dquarkus.http.port={port}", "-Dquarkus.management.host=127.0.0.1", f"-Dquarkus.management.port={management}"]
    if canonical:
        flags.append("-Dapicurio.ccompat.use-canonical-hash=true")
    url = f"http://{host}:{port}"
    group.spawn("registry", ["java", "-Xmx384m", *SMALL, *flags, "-jar", jar], url + "/apis/ccompat/v7")
    group.await_part("registry", lambda: answers(url + "/apis/ccompat/v7/subjects"))
    return url
