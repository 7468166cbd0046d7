"""A network for one pod, by the plugin that a kubelet's runtime would ask; and commands beside containerd."""

import json
import os
import subprocess

from containers.runtime import PLUGINS, SOCKET, network


def run(*words, check: bool = True, **how) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **how)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr[-2000:]}")
    return done


def ctr(*words, **how) -> subprocess.CompletedProcess:
    return run("ctr", "-a", SOCKET, *words, **how)


class Network:
    """A network namespace on the node's bridge, made by the plugin that a kubelet's runtime would ask."""

    def __init__(self, name: str):
        self.name, self.path = name, f"/run/netns/{name}"
        run("ip", "netns", "add", name)
        self.address = json.loads(self.ask("ADD"))["ips"][0]["address"].split("/")[0]

    def ask(self, what: str) -> str:
        env = {"CNI_COMMAND": what, "CNI_CONTAINERID": self.name, "CNI_NETNS": self.path, "CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS, "PATH": os.environ["PATH"]}
        done = run(f"{PLUGINS}/bridge", input=json.dumps(network()), env=env, check=False)
        if done.returncode:
            raise RuntimeError(f"bridge {what}: {done.stdout}{done.stderr}")
        return done.stdout

    def close(self):
        self.ask("DEL")
        run("ip", "netns", "del", self.name)
