"""Builds the product's image and runs it for real; prints what was proven.

usage: make image, or in scripts/: python -m image [--without-demo]

exit 0 when all of it holds, 1 otherwise, 64 wrong usage.
"""

import json
import pathlib
import platform
import subprocess
import sys
import tempfile

from engine import ROOT, Engine

from . import binary, container
from .proof import Proof

IMAGE = "trunkline:local"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def main(words: list[str]) -> int:
    if words not in ([], ["--without-demo"]):
        print(__doc__, file=sys.stderr)
        return 64
    arch = ARCH[platform.machine()]
    proof = Proof("image")
    folder = ROOT / "target" / "image" / arch
    made = binary.build(folder, arch)
    binary.look(made, proof)
    binary.sbom(made, ROOT / "target" / "image" / f"sbom-{arch}.cdx.json", proof)
    binary.refuses_planted_mistakes(proof)
    targets = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    stand = pathlib.Path(json.loads(targets)["target_directory"]) / "debug" / "examples" / "stand"
    engine = Engine()
    try:
        container.build(engine, IMAGE, proof)
        container.contents(engine, IMAGE, proof)
        with tempfile.TemporaryDirectory() as own:
            pathlib.Path(own).chmod(0o755)
            container.service(engine, IMAGE, pathlib.Path(own), stand, proof)
        if not words:
            container.demo(engine, IMAGE, proof)
    finally:
        engine.close()
    print(proof.table())
    return 0 if proof.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
