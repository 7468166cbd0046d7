"""Runs the tests of this folder with progress on standard error.

usage: live.py PATH-OF-TRUNKLINE
"""

import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).exists():
        print(__doc__, file=sys.stderr)
        return 64
    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parent / "journey"))
    import harness

    harness.BINARY = pathlib.Path(sys.argv[1]).resolve()
    began = time.monotonic()
    suite = unittest.defaultTestLoader.discover(str(HERE), "test_*.py", top_level_dir=str(HERE))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    print(f"live: {result.testsRun} tests, {len(result.failures) + len(result.errors)} failed, {time.monotonic() - began:.0f} s")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
