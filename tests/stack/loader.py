"""`load.sh` as it is shipped, on the real bucket, by the real AWS command line. Where COPY would read S3, the stand-in reads a folder."""

import os
import pathlib
import subprocess
import sys
import tempfile

from ground import BUCKET, ROOT, Ground
from testbed import s3
from warehouse import Warehouse, server

# what the AWS command line puts into the bucket is put beside the fetched objects, too
AWS = """#!/bin/sh
"{python}" -m awscli "$@" || exit $?
case "$1 $2" in
"s3 cp") exec "{python}" -m awscli s3 cp --only-show-errors --recursive s3://{bucket}/manifests/ "{folder}/manifests/" ;;
esac
"""


def load(made: Warehouse, ground: Ground) -> str:
    """What it says of hours that are not complete; raises when it fails. Nothing may come into the bucket meanwhile."""
    made.lake.fetch()
    with tempfile.TemporaryDirectory() as folder:
        aws = pathlib.Path(folder) / "aws"
        aws.write_text(AWS.format(python=sys.executable, bucket=BUCKET, folder=made.lake.folder))
        aws.chmod(0o755)
        env = {**os.environ, **s3.ENVIRONMENT, "PATH": f"{folder}:{os.environ['PATH']}", "BUCKET": BUCKET, "AWS_ENDPOINT_URL": ground.s3.url,
               "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
               "PGHOST": "127.0.0.1", "PGPORT": str(server().port), "PGUSER": "loader", "PGDATABASE": made.name}
        run = subprocess.run([ROOT / "downstream" / "redshift" / "load.sh"], env=env, capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise RuntimeError(f"load.sh ended with {run.returncode}: {run.stdout[-1000:]}{run.stderr[-2000:]}")
    return run.stdout.strip()
