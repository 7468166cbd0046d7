"""SeaweedFS as the S3 server: one process, objects in a folder."""

import json
import pathlib
import sys

from . import fetch
from .group import Group, free_ports, listens

KEY, SECRET, REGION = "testkey", "testsecret", "eu-central-1"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class S3:
    """Started, killed and started again on the same data and port."""

    def __init__(self, group: Group):
        self.group = group
        self.ports = free_ports(8)
        self.url = f"http://127.0.0.1:{self.ports[6]}"
        (group.folder / "s3").mkdir(exist_ok=True)
        allowed = {"identities": [{"name": "testbed", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ACTIONS}]}
        (group.folder / "s3.json").write_text(json.dumps(allowed))

    def start(self):
        fetch.say("starting the S3 server")
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = self.ports
        flags = {"dir": "s3", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.port": master, "master.port.grpc": master_grpc, "volume.port": volume,
                 "volume.port.grpc": volume_grpc, "volume.max": 20, "master.volumeSizeLimitMB": 256, "filer": "true", "filer.port": filer,
                 "filer.port.grpc": filer_grpc, "s3": "true", "s3.port": s3, "s3.port.grpc": s3_grpc, "s3.config": "s3.json", "s3.iam": "false"}
        program = pathlib.Path(sys.executable).parent / "weed"
        if not program.exists():
            raise RuntimeError(f"{program} is not there: run scripts/setup.sh --for stack")
        self.group.spawn("s3", [program, "server", *(f"-{key}={value}" for key, value in flags.items())], self.url)
        self.group.await_part("s3", self.answers)

    def answers(self) -> bool:
        """Whether objects can be written: the port is open before volumes are known."""
        if not listens(self.ports[6]):
            return False
        try:
            client = self.client()
            if "testbed" not in {b["Name"] for b in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket="testbed")
            client.put_object(Bucket="testbed", Key="answers", Body=b"yes")
            return True
        except Exception:  # whatever boto3 makes of a server that is not up yet
            return False

    def client(self):
        import boto3
        from botocore.config import Config

        patience = Config(connect_timeout=3, read_timeout=20, retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name=REGION, config=patience)
