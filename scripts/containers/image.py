"""Images as an archive that containerd imports: no registry is there to pull from.

The product's has what the Dockerfile's last stage has: the binary, the libraries it links, its base's certificate authorities, the
spool's folder, and nothing else.
"""

import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
DOCKERFILE = pathlib.Path(__file__).resolve().parents[2] / "Dockerfile"


def said(instruction: str) -> str:
    """What the last stage of the Dockerfile says of it."""
    return re.findall(rf"^{instruction} (.+)$", DOCKERFILE.read_text(), re.M)[-1]


def libraries(binary: pathlib.Path) -> list[str]:
    """Paths under which the binary looks for what it links, its loader among them."""
    text = subprocess.run(["ldd", str(binary)], check=True, capture_output=True, text=True).stdout
    if "not found" in text:
        raise RuntimeError(f"{binary} lacks libraries: {text}")
    return sorted(set(re.findall(r"(/\S+) \(0x", text)))


def entry(name: str, size: int = 0, mode: int = 0o755, owner: int = 0, folder: bool = False) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode, info.uid, info.gid = size, mode, owner, owner
    info.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return info


def layer(files: dict[str, bytes], folders: dict[str, int]) -> bytes:
    """Files by path; folders with the id of their owner."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for path, owner in folders.items():
            packed.addfile(entry(path, owner=owner, folder=True))
        for path, content in files.items():
            packed.addfile(entry(path, len(content)), io.BytesIO(content))
    return out.getvalue()


def archive(to: pathlib.Path, name: str, content: bytes, settings: dict):
    """An image of one layer, in the form of `docker save`."""
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": settings, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(to, "w") as packed:
        for path, data in {"layer.tar": content, config_name: config, "manifest.json": manifest}.items():
            packed.addfile(entry(path, len(data), 0o644), io.BytesIO(data))


def product(to: pathlib.Path, names: list[str], binary: pathlib.Path):
    """The product's image under each name; they differ by a label, so that each is an image of its own."""
    stripped = to / "trunkline.stripped"
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    files = {json.loads(said("ENTRYPOINT"))[0]: stripped.read_bytes()}
    files |= {path: pathlib.Path(path).resolve().read_bytes() for path in [*libraries(binary), AUTHORITIES]}
    owner = int(said("USER").split(":")[0])
    content = layer(files, {"/var/lib/trunkline": owner})
    stripped.unlink()
    for number, name in enumerate(names):
        settings = {"Entrypoint": json.loads(said("ENTRYPOINT")), "Cmd": json.loads(said("CMD")), "User": said("USER"), "Labels": {"build": str(number)}}
        archive(to / f"product-{number}.tar", name, content, settings)
