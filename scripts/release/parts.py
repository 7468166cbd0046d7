"""Archives that come out the same whoever makes them, notes cut from the changes, and the list of checksums."""

import gzip
import hashlib
import io
import pathlib
import re
import tarfile

from engine import ROOT

# beside the binary in the archive
WITH = ("LICENSE", "README.md", "CHANGELOG.md", "config/example.yaml")
SHELLS = ("bash", "fish", "zsh")


def version(tag: str | None = None) -> str:
    """Of the crate; an error when chart or tag say another."""
    found = {
        "Cargo.toml": re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1],
        **{f"Chart.yaml {key}": re.search(rf'^{key}: "?(.*?)"?$', (ROOT / "helm/trunkline/Chart.yaml").read_text(), re.MULTILINE)[1]
           for key in ("version", "appVersion")},
        **({"the tag": tag.removeprefix("v")} if tag else {}),
    }
    if len(set(found.values())) > 1:
        raise ValueError("versions differ: " + ", ".join(f"{name} has {value}" for name, value in found.items()))
    return found["Cargo.toml"]


def notes(changes: str, wanted: str) -> str:
    """The section of this version; of what is unreleased while it has none."""
    sections = dict(re.findall(r"^## (\S+)[^\n]*\n(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL))
    text = sections.get(wanted, sections.get("Unreleased", "")).strip()
    if not text:
        raise ValueError(f"CHANGELOG.md has neither a section {wanted} nor a section Unreleased with something in it")
    # links of the repository, for a page that is not in it
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", rf"](https://github.com/trunkline/trunkline/blob/v{wanted}/\1)", text) + "\n"


def archive(to: pathlib.Path, files: dict[str, tuple[bytes, int]], seconds: int) -> pathlib.Path:
    """A tar.gz of contents and modes by name, all of one time and nobody's."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, seconds
            tar.addfile(entry, io.BytesIO(content))
    to.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))
    return to


def checksums(folder: pathlib.Path) -> pathlib.Path:
    """As `sha256sum --check` reads them."""
    to = folder / "SHA256SUMS"
    files = sorted(path for path in folder.iterdir() if path != to and path.is_file())
    to.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files))
    return to
