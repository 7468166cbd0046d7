"""The static binary, looked at from outside."""

import json
import pathlib
import re
import subprocess
import sys

from engine import ROOT

LIMIT = 25_000_000
# what only builds for tests contain
NEVER = (b"TRUNKLINE_SEEDED_BUG", b"FAILPOINTS")
SYFT = pathlib.Path(sys.executable).parent / "syft"
# one of each kind: ours, a binding to C, and what only the static binary has
CRATES = {"trunkline", "trunkline-protocol", "rdkafka-sys", "openssl-src", "tokio"}


def run(*command, **rest) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **rest).stdout


def build(folder: pathlib.Path, arch: str) -> pathlib.Path:
    """The file in `folder`, beside the empty folder that becomes the spool's."""
    subprocess.run([ROOT / "scripts" / "static_binary.sh", folder, arch], check=True)
    (folder / "data").mkdir(exist_ok=True)
    return folder / "trunkline"


def look(binary: pathlib.Path, proof):
    size = binary.stat().st_size
    proof.note("binary below 25 MB", f"{size / 1e6:.1f} MB", size < LIMIT)
    headers = run("readelf", "--wide", "--program-headers", "--dynamic", binary)
    asked = re.findall(r"INTERP|\(NEEDED\)", headers)
    proof.note("no loader, no shared library", "static" if not asked else ", ".join(asked), not asked)
    sections = run("readelf", "--wide", "--sections", binary)
    proof.note("stripped", "no .symtab", " .symtab " not in sections)
    inside = binary.read_bytes()
    planted = [name.decode() for name in NEVER if name in inside]
    proof.note("no planted mistakes, no failpoints", ", ".join(planted) or "none", not planted)


def components(binary: pathlib.Path, to: pathlib.Path) -> set[str]:
    """Crates of the SBOM, which is written to `to`, as CycloneDX and beside it as SPDX."""
    outputs = ("-o", f"cyclonedx-json={to}", "-o", f"spdx-json={to.with_name(to.name.replace('.cdx.', '.spdx.'))}")
    run(SYFT, "scan", f"file:{binary}", "--quiet", *outputs, env={"SYFT_CHECK_FOR_APP_UPDATE": "false", "PATH": "/usr/bin:/bin", "HOME": "/tmp"})
    return {component["name"] for component in json.loads(to.read_text()).get("components", []) if component.get("type") == "library"}


def sbom(binary: pathlib.Path, to: pathlib.Path, proof):
    """From the list of crates inside the binary; one without the list has to show that it is missed."""
    found = components(binary, to)
    missing = CRATES - found
    proof.note("SBOM holds the crate graph", f"{len(found)} components" + (f", without {missing}" if missing else ""), not missing and len(found) > 150)
    bare = to.with_name("without-list")
    run("objcopy", "--remove-section", ".dep-v0", binary, bare)
    left = components(bare, to.with_name("without-list.cdx.json"))
    proof.note("a binary without the list has no components", f"{len(left)} components", not left & CRATES)
    for name in ("without-list", "without-list.cdx.json", "without-list.spdx.json"):
        to.with_name(name).unlink()


def refuses_planted_mistakes(proof):
    command = ["cargo", "check", "--quiet", "--release", "--package", "trunkline-protocol", "--features", "seeded-bugs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = "seeded-bugs plants mistakes: never in a release build"
    proof.note("a release build refuses seeded-bugs", "refused" if done.returncode else "it was built", bool(done.returncode) and said in done.stderr)
