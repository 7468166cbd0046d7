"""Runs every check of the chart and prints what each looked at."""

import pathlib
import sys
import time
import unittest

from chart import report


def main() -> int:
    started = time.monotonic()
    suite = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).parent))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(suite)
    print(f"{'chart':28}what was looked at")
    for check, looked_at in report.items():
        print(f"{check:28}{looked_at}")
    print(f"{'seconds':28}{time.monotonic() - started:.1f}")
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
