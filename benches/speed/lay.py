"""Where the scoreboard's parts lie, which this driver shares; and the release binary, for the simulator too."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "benches" / "scoreboard"), str(ROOT / "tests" / "journey")]
import harness  # noqa: E402
import systems  # noqa: E402

OUT = ROOT / "target" / "speed"


def use(binary: pathlib.Path):
    harness.BINARY = systems.BINARY = binary
