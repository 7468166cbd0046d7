#!/usr/bin/env python3
"""Writes helm/trunkline/README.md: its head by hand, its table from the comments of values.yaml.

`--check` only says whether it is fresh. A key without a comment of its own falls under the comment of the
nearest map above it, and is shown as one row with it.
"""

import json
import pathlib
import re
import sys

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "helm/trunkline"
MARK = "<!-- everything below is written by scripts/chart_readme.py -->\n"
KEY = re.compile(r"^( *)([A-Za-z_]+):")


def comments(text: str) -> dict[str, str]:
    """The comment right above each key, by path."""
    found, path, above = {}, [], []
    for line in text.splitlines():
        key = KEY.match(line)
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
        elif key:
            depth = len(key[1]) // 2
            path = [*path[:depth], key[2]]
            if above:
                found[".".join(path)] = " ".join(above)
            above = []
        else:
            above = []
    return found


def rows(values: dict, said: dict[str, str], path: str = "") -> list[tuple[str, object, str]]:
    found = []
    for key, value in values.items():
        at = f"{path}.{key}" if path else key
        below = [name for name in said if name.startswith(at + ".")]
        if isinstance(value, dict) and below:
            found += rows(value, said, at)
        elif at in said:
            found.append((at, value, said[at]))
        else:
            raise SystemExit(f"{FOLDER}/values.yaml: {at} has no comment")
    return found


def readme() -> str:
    text = (FOLDER / "values.yaml").read_text()
    head = (FOLDER / "README.md").read_text().split(MARK)[0]
    lines = ["| value | default | what it is |", "|---|---|---|"]
    for path, value, said in rows(yaml.safe_load(text), comments(text)):
        shown = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
        lines.append(f"| `{path}` | `{shown}` | {said.replace('|', chr(92) + '|')} |")
    return head + MARK + "\n" + "\n".join(lines) + "\n"


def main() -> int:
    file, fresh = FOLDER / "README.md", readme()
    if "--check" in sys.argv[1:]:
        if file.read_text() == fresh:
            return 0
        print(f"{file}: is stale; run scripts/chart_readme.py", file=sys.stderr)
        return 1
    file.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
