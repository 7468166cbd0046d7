"""A Docker engine: the machine's own, or `scripts/dockerd.sh`'s where none answers; and stand-ins for images that it cannot pull.

A stand-in has the name of what it stands for, so that Dockerfiles and the compose file are used as they are shipped. It shows that
they fit together, and nothing of the image it stands for: whoever uses one says so.
"""

import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "dockerd.sh"
SOCKET = ROOT / "target" / "docker" / "sock"
STAND_IN = "org.trunkline.stand-in"
# what the last stage of the Dockerfile takes from its base
OF_THE_BASE = ("/etc/ssl/certs/ca-certificates.crt", "/usr/share/zoneinfo")
ACCOUNTS = {"etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
            "etc/group": "root:x:0:\nnonroot:x:65532:\n", "etc/nsswitch.conf": "hosts: files dns\n"}


def say(text: str):
    print(f"engine: {text}", file=sys.stderr, flush=True)


class Engine:
    def __init__(self):
        self.started = False
        # the newer client refuses BuildKit without a plugin; Debian's has it inside
        found = [path for path in ("/usr/bin/docker", shutil.which("docker")) if path and pathlib.Path(path).exists()]
        if not found:
            raise RuntimeError("docker is not there: run scripts/setup.sh --for image")
        self.client, self.environment = found[0], {**os.environ, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"}
        if subprocess.run([self.client, "version"], capture_output=True).returncode:
            self.started = subprocess.run([SCRIPT, "status"], capture_output=True).returncode != 0
            subprocess.run([SCRIPT, "up"], check=True)
            self.environment["DOCKER_HOST"] = subprocess.run([SCRIPT, "status"], check=True, capture_output=True, text=True).stdout.strip()
        self.own = self.environment.get("DOCKER_HOST") == f"unix://{SOCKET}"

    def docker(self, *arguments, check: bool = True, **rest) -> subprocess.CompletedProcess:
        """With output captured; an error with the end of it when it fails."""
        done = subprocess.run([self.client, *map(str, arguments)], capture_output=True, text=True, env=self.environment, **rest)
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(map(str, arguments))}: {done.stderr[-2000:] or done.stdout[-2000:]}")
        return done

    def inside(self, *command) -> list:
        """The command, run where published ports are."""
        return [str(word) for word in ((SCRIPT, "inside", *command) if self.own else command)]

    def has(self, image: str) -> bool:
        return not self.docker("image", "inspect", image, check=False).returncode

    def stands_in(self, image: str) -> bool:
        return self.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{STAND_IN}"}}}}', image).stdout.strip() == "yes"

    def pull_or(self, image: str, make) -> bool:
        """Whether the image is a stand-in, which `make` made because it could not be pulled."""
        if not self.has(image):
            pulled = self.docker("pull", "--quiet", image, check=False)
            if pulled.returncode:
                say(f"{image} cannot be pulled ({pulled.stderr.strip().splitlines()[-1][:160]}); a stand-in takes its place")
                make(image)
        return self.stands_in(image)

    def load(self, image: str, archive, *changes: str):
        """A tar, as a file or bytes, as an image of that name, marked as a stand-in."""
        words = [word for change in (f"LABEL {STAND_IN}=yes", *changes) for word in ("--change", change)]
        command = [self.client, "import", *words, "-", image]
        given = {"input": archive} if isinstance(archive, bytes) else {"stdin": archive}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=self.environment, **given)

    def base(self, image: str):
        """In the place of a base without a shell: authorities, time zones, accounts."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in OF_THE_BASE:
                tar.add(os.path.realpath(path), arcname=path.lstrip("/"))
            for name, text in ACCOUNTS.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
        self.load(image, packed.getvalue(), "USER 65532")

    def close(self):
        if self.started:
            subprocess.run([SCRIPT, "down"], check=True)
