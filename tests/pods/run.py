"""The chart's pods in containers: starts a node, runs the tests of this folder in its network, says what was proven, takes it down.

usage: run.py PATH-OF-TRUNKLINE [WORD-IN-A-TEST'S-NAME]
"""

import pathlib
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]
INSIDE = "--inside"


def outside(words: list[str]) -> int:
    from containers.runtime import Node

    node = Node()
    try:
        node.up()
        node.load(pathlib.Path(words[0]).resolve(), "testbed.local/trunkline:one", "testbed.local/trunkline:two")
        return subprocess.run(node.inside(sys.executable, __file__, INSIDE, *words)).returncode
    finally:
        node.down()


def inside(words: list[str]) -> int:
    import world  # noqa: F401  first: it names the folders of what follows
    import harness
    from chart import report

    harness.BINARY = pathlib.Path(words[0]).resolve()
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{word}*" for word in words[1:]] or None
    began = time.monotonic()
    suite = loader.loadTestsFromName("test_pods")
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, failfast=True).run(suite)
    print(f"{'pods of the chart':28}what was proven")
    for what, proven in report.items():
        print(f"{what:28}{proven}")
    print(f"{'seconds':28}{time.monotonic() - began:.0f}")
    return 0 if result.wasSuccessful() and result.testsRun else 1


def main() -> int:
    words = sys.argv[1:]
    if words[:1] == [INSIDE]:
        return inside(words[1:])
    if not words or not pathlib.Path(words[0]).exists():
        print(__doc__, file=sys.stderr)
        return 64
    return outside(words)


if __name__ == "__main__":
    sys.exit(main())
