"""Builds everything of a release that can be built on this machine, into target/release-dry-run; publishes nothing.

usage: make release-dry-run, or in scripts/: python -m release [TAG]     with TAG, versions have to agree with it

exit 0 when all is there, 1 when something is missing, 64 wrong usage, 65 versions or changes that do not fit.
"""

import gzip
import pathlib
import platform
import shutil
import subprocess
import sys

import helm_python
from engine import ROOT, Engine
from image import binary, container
from image.__main__ import ARCH, IMAGE
from image.proof import Proof

from . import parts

TO = ROOT / "target" / "release-dry-run"


def commit_time() -> int:
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    return int(done.stdout.strip() or 0)


def archive(made: pathlib.Path, name: str) -> pathlib.Path:
    files = {f"{name}/trunkline": (made.read_bytes(), 0o755)}
    files |= {f"{name}/{path}": ((ROOT / path).read_bytes(), 0o644) for path in parts.WITH}
    for shell in parts.SHELLS:
        text = subprocess.run([made, "completions", shell], check=True, capture_output=True).stdout
        files[f"{name}/completions/trunkline.{shell}"] = (text, 0o644)
    return parts.archive(TO / f"{name}.tar.gz", files, commit_time())


def image(arch: str, version: str, proof: Proof) -> pathlib.Path:
    engine = Engine()
    try:
        container.build(engine, IMAGE, proof)
        engine.docker("tag", IMAGE, f"trunkline:{version}")
        saved = subprocess.run([engine.client, "save", f"trunkline:{version}"], check=True, capture_output=True, env=engine.environment).stdout
    finally:
        engine.close()
    to = TO / f"trunkline-{version}-image-{arch}.tar.gz"
    to.write_bytes(gzip.compress(saved, 6, mtime=0))
    return to


def main(words: list[str]) -> int:
    if len(words) > 1 or words[:1] in (["--help"], ["-h"]):
        print(__doc__, file=sys.stderr)
        return 64
    try:
        version = parts.version(words[0] if words else None)
        text = parts.notes((ROOT / "CHANGELOG.md").read_text(), version)
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 65
    arch = ARCH[platform.machine()]
    shutil.rmtree(TO, ignore_errors=True)
    TO.mkdir(parents=True)
    proof = Proof("release")
    made = binary.build(ROOT / "target" / "image" / arch, arch)
    binary.sbom(made, TO / f"trunkline-{version}-linux-{arch}.cdx.json", proof)
    archive(made, f"trunkline-{version}-linux-{arch}")
    image(arch, version, proof)
    helm_python.package(str(ROOT / "helm/trunkline"), destination=str(TO))
    (TO / "NOTES.md").write_text(text)
    parts.checksums(TO)
    for name in wanted(version, arch):
        there = TO / name
        size = there.stat().st_size if there.exists() else 0
        proof.note(name, f"{size:,} bytes" if size else "missing", size > 0)
    checked = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=TO, capture_output=True, text=True)
    proof.note("checksums agree", checked.stdout.strip() or "all", checked.returncode == 0)
    print(proof.table())
    return 0 if proof.holds else 1


def wanted(version: str, arch: str) -> list[str]:
    """Names of everything that has to be there."""
    name = f"trunkline-{version}"
    return [f"{name}-linux-{arch}.tar.gz", f"{name}-linux-{arch}.cdx.json", f"{name}-linux-{arch}.spdx.json", f"{name}-image-{arch}.tar.gz", f"{name}.tgz",
            "NOTES.md", "SHA256SUMS"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
