"""What the parts are made of: versions, where they are kept, and the digests that they must have."""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "target" / "testbed"
REGISTRY = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
DIGESTS = HERE / "digests.sha256"
# the worker has these itself; a second copy in a plugin only slows its start
OF_THE_WORKER = ("connect-", "kafka-clients-", "slf4j-api-", "zstd-jni-", "lz4-java", "snappy-java")
CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"


def say(text: str):
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def known() -> dict:
    """Digest by name of file."""
    lines = DIGESTS.read_text().splitlines() if DIGESTS.exists() else []
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def check(files: list):
    """Every file is what it was when its version was chosen."""
    digests = known()
    for file in files:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if digests.get(file.name) != found:
            raise RuntimeError(f"{file}: SHA-256 is {found}, {DIGESTS.name} has {digests.get(file.name, 'no such name')}")


def maven(*arguments, cwd: pathlib.Path):
    run = subprocess.run(["mvn", "-q", "-B", *arguments], cwd=cwd, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"mvn {' '.join(map(str, arguments))}: {run.stdout[-2000:]}{run.stderr[-500:]}")


def jars(name: str) -> pathlib.Path:
    """A folder with the jars of `poms/NAME`, downloaded and checked once."""
    folder = CACHE / name
    done = CACHE / f"{name}.done"
    if not done.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        say(f"downloading {name}")
        maven("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}", cwd=HERE / "poms" / name)
        check(sorted(folder.glob("*.jar")))
        done.touch()
    return folder


def registry() -> pathlib.Path:
    """The jar that starts the registry."""
    done = CACHE / "registry.done"
    if not done.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        say("downloading the registry")
        maven("dependency:copy", f"-Dartifact={REGISTRY}", f"-DoutputDirectory={CACHE}", cwd=CACHE)
        archive = next(CACHE.glob("apicurio-*.tar.gz"))
        check([archive])
        shutil.rmtree(CACHE / "registry", ignore_errors=True)
        with tarfile.open(archive) as packed:
            packed.extractall(CACHE / "registry", filter="data")
        done.touch()
    return next((CACHE / "registry").rglob("*-runner.jar"))


def plain_plugin(folder: pathlib.Path, *names: str):
    """A plugin folder with the jars of `poms/NAME`, without what the worker has itself."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in names:
        for jar in jars(name).glob("*.jar"):
            if not jar.name.startswith(OF_THE_WORKER):
                shutil.copy2(jar, folder)


def plugin(folder: pathlib.Path, sources: list):
    """A plugin folder: the converter, an S3 client, and a sink compiled from `sources`; made anew when one changed."""
    made_of = hashlib.sha256(DIGESTS.read_bytes() + b"".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = folder.parent / f"{folder.name}.{made_of[:16]}"
    if stamp.exists():
        return
    say("making the plugin")
    for old in folder.parent.glob(f"{folder.name}.*"):
        old.unlink()
    plain_plugin(folder, "converter", "s3sink")
    services = {"org.apache.kafka.connect.storage.Converter": [CONVERTER]}
    classes = folder.parent / "classes"
    if sources:
        shutil.rmtree(classes, ignore_errors=True)
        path = f"{jars('kafka')}/*:{folder}/*"
        run = subprocess.run(["javac", "-Xlint:all,-processing,-classfile,-serial", "-Werror", "-d", classes, "-cp", path, *sources], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"javac: {run.stderr}")
        connectors = [s for s in sources if "extends SinkConnector" in s.read_text()]
        services["org.apache.kafka.connect.sink.SinkConnector"] = [f"io.trunkline.stack.{s.stem}" for s in connectors]
    # the manifests by which `plugin.discovery=service_load` finds them
    with zipfile.ZipFile(folder / "found-by-name.jar", "w") as jar:
        for service, names in services.items():
            jar.writestr(f"META-INF/services/{service}", "\n".join(names))
        for file in sorted(classes.rglob("*.class")) if sources else []:
            jar.write(file, file.relative_to(classes))
    stamp.touch()
