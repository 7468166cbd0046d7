"""Commands on the pages are commands of the binary, with flags that they have."""

import pathlib
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "journey"))

from harness import BINARY  # noqa: E402
from pages import commands, pages  # noqa: E402


def strange(command: str) -> str | None:
    """What the binary does not know of a command; nothing is carried out, since help is asked for."""
    words = shlex.split(command)[1:]
    done = subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.splitlines()[0]
    # help is printed before flags are judged, so they are looked up in it
    missing = [word.split("=")[0] for word in words if word.startswith("--") and f"{word.split('=')[0]} " not in done.stdout + " "]
    missing = [word for word in missing if f"{word}\n" not in done.stdout]
    return f"has no {', '.join(missing)}" if missing else None


class Commands(unittest.TestCase):
    def test_every_command_and_flag_exists(self):
        for name, text in pages().items():
            for command in commands(text):
                with self.subTest(name, command=command):
                    self.assertIsNone(strange(command))

    def test_a_command_or_flag_that_does_not_exist_is_seen(self):
        for command in ("trunkline status", "trunkline gaps lst", "trunkline gaps list --opn"):
            self.assertIsNotNone(strange(command), command)


if __name__ == "__main__":
    unittest.main()
