"""The image in an engine: what is in it, and the service run in it as hardened as the chart runs it."""

import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time

from engine import ROOT, Engine

HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m", "--pids-limit", "256")
SPOOL, NETWORK = "trunkline-image-spool", ("--network", "host")
ADMIN, SIMULATOR = 29464, 28080
NAME = {"simulator": "trunkline-image-simulator", "run": "trunkline-image-run"}
SHELLS = {"sh", "bash", "dash", "busybox", "ash"}
# of kafka.flush_timeout_secs and the rest of a stop
BUDGET = 45


def build(engine: Engine, image: str, proof):
    arguments = dict(line.removeprefix("ARG ").split("=", 1) for line in (ROOT / "Dockerfile").read_text().splitlines()
                     if line.startswith("ARG ") and "=" in line)
    base = arguments["BASE"]
    stand_in = engine.pull_or(base, engine.base)
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"
    given = {"BINARY": "prebuilt", "REVISION": revision}
    words = [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
    engine.docker("build", "--quiet", "--tag", image, *words, ROOT)
    proof.note("built by the Dockerfile, on", base + (" (a stand-in: it cannot be pulled here)" if stand_in else ""))
    facts = json.loads(engine.docker("image", "inspect", image).stdout)[0]
    proof.note("size of the image", f"{facts['Size'] / 1e6:.1f} MB", facts["Size"] < 40_000_000)
    config = facts["Config"]
    proof.note("user", config["User"], config["User"] == "65532:65532")
    proof.note("labels", config["Labels"]["org.opencontainers.image.revision"][:12], config["Labels"]["org.opencontainers.image.revision"] == revision)


def contents(engine: Engine, image: str, proof):
    made = engine.docker("create", image).stdout.strip()
    packed = subprocess.run([engine.client, "export", made], check=True, capture_output=True, env=engine.environment).stdout
    engine.docker("rm", made)
    programs, shells = [], []
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar:
            shells += [entry.name] if os.path.basename(entry.name) in SHELLS and not entry.isdir() else []
            if entry.isfile() and tar.extractfile(entry).read(4) == b"\x7fELF":
                programs.append(entry.name)
            if entry.name.rstrip("/") == "var/lib/trunkline":
                proof.note("the spool's folder belongs to", f"{entry.uid}:{entry.gid}", (entry.uid, entry.gid) == (65532, 65532))
    proof.note("programs in it", ", ".join(programs[:5]), programs == ["usr/local/bin/trunkline"])
    proof.note("shells in it", ", ".join(shells[:5]) or "none", not shells)


def demo(engine: Engine, image: str, proof):
    began = time.monotonic()
    done = engine.docker("run", "--rm", *HARDENED, "--tmpfs", "/tmp", image, "demo", check=False)
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
    proof.note("demo in it", f"exit {done.returncode} after {time.monotonic() - began:.0f} s: {''.join(last)[:100]}", done.returncode == 0)


def asked(engine: Engine, url: str) -> str:
    return subprocess.run(engine.inside("curl", "--silent", "--fail", "--max-time", "5", url), capture_output=True, text=True).stdout


def service(engine: Engine, image: str, folder: pathlib.Path, stand: pathlib.Path, proof):
    """Simulator and service from the image, beside the stand's broker and registry; `doctor`; a stop."""
    for name in NAME.values():
        engine.docker("rm", "--force", name, check=False)
    engine.docker("volume", "rm", "--force", SPOOL, check=False)
    ground = subprocess.Popen(engine.inside(stand), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        addresses = json.loads(ground.stdout.readline())
        simulator = f"http://127.0.0.1:{SIMULATOR}"
        said = {"genesys": {"login_url": simulator, "api_url": simulator, "clients": [{"id": "sim-client", "secret": "sim-secret"}]},
                "kafka": {"bootstrap_servers": addresses["bootstrap"], "durability": "degraded_allowed"},
                "schema_registry": {"url": addresses["registry"]}, "privacy": {"preset": "none"},
                "admin": {"listen": f"127.0.0.1:{ADMIN}"}, "spool": {"dir": "/var/lib/trunkline/spool", "max_bytes": 1 << 28}}
        (folder / "trunkline.yaml").write_text(json.dumps(said))
        hardened = (*HARDENED, *NETWORK, "--volume", f"{SPOOL}:/var/lib/trunkline", "--volume", f"{folder / 'trunkline.yaml'}:/etc/trunkline/trunkline.yaml:ro")
        engine.docker("run", "--detach", "--name", NAME["simulator"], *HARDENED, *NETWORK, image, "simulate", "--port", SIMULATOR, "--rate", "20")
        began = time.monotonic()
        while not asked(engine, f"{simulator}/sim/counters") and time.monotonic() < began + 30:
            time.sleep(0.2)
        done = engine.docker("run", "--rm", *hardened, image, "doctor", "--config", "/etc/trunkline/trunkline.yaml", check=False)
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
        proof.note("doctor in it", f"exit {done.returncode}, {len(done.stdout.splitlines())} findings" + "".join(f"; {line}" for line in failed),
                   done.returncode == 0 and not failed)
        engine.docker("run", "--detach", "--name", NAME["run"], *hardened, image)
        began = time.monotonic()
        while not asked(engine, f"http://127.0.0.1:{ADMIN}/readyz") and time.monotonic() < began + 60:
            time.sleep(0.2)
        proof.note("run in it, ready after", f"{time.monotonic() - began:.1f} s", bool(asked(engine, f"http://127.0.0.1:{ADMIN}/readyz")))
        probe = engine.docker("exec", NAME["run"], "/usr/local/bin/trunkline", "probe", "--address", f"127.0.0.1:{ADMIN}", check=False)
        proof.note("its own health check", f"exit {probe.returncode}", probe.returncode == 0)
        published = 0.0
        while not published and time.monotonic() < began + 60:
            lines = asked(engine, f"http://127.0.0.1:{ADMIN}/metrics").splitlines()
            published = sum(float(line.split()[-1]) for line in lines if line.startswith("trunkline_events_published_total"))
            time.sleep(0.2)
        proof.note("events acknowledged", f"{published:.0f}", published > 0)
        if published:
            stop(engine, proof)
        else:
            print(engine.docker("logs", "--tail", "10", NAME["run"], check=False).stderr, file=sys.stderr)
    finally:
        for name in NAME.values():
            engine.docker("rm", "--force", name, check=False)
        engine.docker("volume", "rm", "--force", SPOOL, check=False)
        ground.terminate()
        ground.wait()


def stop(engine: Engine, proof):
    facts = json.loads(engine.docker("inspect", NAME["run"]).stdout)[0]
    status = pathlib.Path(f"/proc/{facts['State']['Pid']}/status").read_text()
    uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
    capabilities = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    proof.note("process runs as, with capabilities", f"{uid}, {int(capabilities, 16)}", (uid, int(capabilities, 16)) == ("65532", 0))
    began = time.monotonic()
    engine.docker("stop", "--time", BUDGET, NAME["run"])
    seconds = time.monotonic() - began
    code = json.loads(engine.docker("inspect", NAME["run"]).stdout)[0]["State"]["ExitCode"]
    proof.note("SIGTERM", f"exit {code} after {seconds:.1f} s of {BUDGET}", code == 0 and seconds < BUDGET)
