"""Images with the names of those the compose file asks for, made of the released jars and programs, for an engine that can pull none.

Commands, users, paths and variables are as in what they stand for, as far as the compose file and its scripts see them.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))
from engine import ROOT, Engine, say  # noqa: E402
from testbed import fetch  # noqa: E402

AT = ROOT / "target" / "docker"
JAVA, PLUGINS = "stand-in/java:17", "stand-in/connect-plugins:local"
PACKAGES = "ca-certificates,curl,wget,openjdk-17-jre-headless"
PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUN = """#!/bin/sh
: "${CLUSTER_ID:=5L6g3nShT-eMCtK--X86sw}"; export CLUSTER_ID
out=$(KAFKA_HEAP_OPTS=-Xmx128m /opt/kafka/bin/kafka-run-class.sh kafka.docker.KafkaDockerWrapper setup \\
  --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  case $out in *"already formatted"*) ;; *) echo "$out" >&2; exit 1 ;; esac
exec /opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/server.properties
"""
RUN_CLASS = """#!/bin/sh
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \\
  -Dlog4j2.configurationFile="${KAFKA_LOG4J:-/etc/kafka/docker/tools-log4j2.yaml}" $KAFKA_OPTS -cp "/opt/kafka/libs/*" "$@"
"""
TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "connect-distributed": "org.apache.kafka.connect.cli.ConnectDistributed",
}
LOGGING = "Configuration:\n  Appenders:\n    Console:\n      name: out\n      PatternLayout: {pattern: '%d{ISO8601} %p %c{1}: %m%n'}\n  Loggers:\n" \
          "    Root:\n      level: LEVEL\n      AppenderRef: {ref: out}\n"
SERVER = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n" \
         "controller.listener.names=CONTROLLER\nlog.dirs=/var/lib/kafka/data\n"
KAFKA = f"""FROM {JAVA}
RUN useradd -u 1000 -m appuser && mkdir -p /opt/kafka/config /opt/kafka/logs /etc/kafka/docker /etc/kafka/secrets /mnt/shared/config /var/lib/kafka/data
COPY libs /opt/kafka/libs
COPY bin /opt/kafka/bin
COPY etc /etc/kafka/docker
RUN chown -R appuser /opt/kafka/config /opt/kafka/logs /etc/kafka /mnt/shared/config /var/lib/kafka
USER appuser
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
CMD ["/etc/kafka/docker/run"]
"""
REGISTRY = f"""FROM {JAVA}
COPY registry /opt/registry
USER 1001
CMD java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=0.0.0.0 -jar /opt/registry/*-runner.jar
"""


def script(path: pathlib.Path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class StandIns:
    def __init__(self, engine: Engine):
        self.engine = engine

    def built(self, image: str, name: str, dockerfile: str):
        (AT / name / "Dockerfile").write_text(dockerfile)
        self.engine.docker("build", "--quiet", "--label", "org.trunkline.stand-in=yes", "--tag", image, AT / name)

    def java(self):
        if self.engine.has(JAVA):
            return
        root = AT / "rootfs-java"
        if not (root / "usr/bin/java").exists():
            say("debootstrap: three minutes")
            subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root], check=True, stdout=subprocess.DEVNULL)
        skipped = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale")
        tar = AT / "java.tar"
        with tarfile.open(tar, "w") as packed:
            packed.add(root, arcname=".", filter=lambda entry: None if entry.name.startswith(skipped) else entry)
        with tar.open("rb") as archive:
            self.engine.load(JAVA, archive, PATH, 'CMD ["bash"]')
        tar.unlink()

    def kafka(self, image: str):
        self.java()
        at = AT / "kafka"
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(fetch.jars("kafka"), at / "libs", copy_function=os.link)
        script(at / "bin/kafka-run-class.sh", RUN_CLASS)
        for name, main in TOOLS.items():
            script(at / f"bin/{name}.sh", f'#!/bin/sh\nexec /opt/kafka/bin/kafka-run-class.sh {main} "$@"\n')
        script(at / "bin/kafka-server-start.sh", '#!/bin/sh\nKAFKA_LOG4J=/opt/kafka/config/log4j2.yaml exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"\n')
        script(at / "etc/run", RUN)
        for name, text in (("server.properties", SERVER), ("log4j2.yaml", LOGGING.replace("LEVEL", "WARN")), ("tools-log4j2.yaml", LOGGING.replace("LEVEL", "ERROR"))):
            (at / "etc" / name).write_text(text)
        self.built(image, "kafka", KAFKA)

    def registry(self, image: str):
        self.java()
        fetch.registry()
        shutil.rmtree(AT / "apicurio", ignore_errors=True)
        shutil.copytree(fetch.CACHE / "registry", AT / "apicurio" / "registry", copy_function=os.link)
        self.built(image, "apicurio", REGISTRY)

    def seaweedfs(self, image: str):
        self.java()
        at = AT / "seaweedfs"
        at.mkdir(exist_ok=True)
        shutil.copy2(pathlib.Path(sys.executable).parent / "weed", at / "weed")
        self.built(image, "seaweedfs", f"FROM {JAVA}\nCOPY weed /usr/bin/weed\nVOLUME /data\n")

    def curl(self, image: str):
        self.java()
        self.engine.docker("tag", JAVA, image)

    def plugins(self, _=None):
        """The sink that stands in for Confluent's, and Apicurio's converter."""
        folder = fetch.CACHE / "plugins-stack" / "staging"
        fetch.plugin(folder, sorted((HERE / "sink").rglob("*.java")))
        at = AT / "plugins"
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(folder, at / "plugins" / "staging")
        self.built(PLUGINS, "plugins", "FROM scratch\nCOPY plugins /plugins\n")
