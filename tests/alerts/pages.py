"""The pages under docs/runbooks, taken apart."""

import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs/runbooks"
SECTIONS = ["What it means", "What users feel", "Checks", "What to do", "When to escalate"]


def pages() -> dict[str, str]:
    """Texts by name of the alert."""
    return {file.stem: file.read_text() for file in sorted(FOLDER.glob("*.md")) if file.stem != "README"}


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2])))


def block(text: str, kind: str) -> list[str]:
    """Lines of the fenced blocks of a kind."""
    return [line for body in re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S) for line in body.splitlines() if line]


def commands(text: str) -> list[str]:
    """Every `trunkline …` of a page, in a block or within a sentence."""
    inline = re.findall(r"`(trunkline [^`]+)`", text)
    return [line for line in block(text, "sh") if line.startswith("trunkline ")] + inline
