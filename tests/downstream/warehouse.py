"""A PostgreSQL in the place of Redshift: keys are not enforced there either, COPY is a stand-in."""

import atexit
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache

import psycopg

import translate
from lake import Lake

# COPY of Avro, 'auto', mandatory MANIFEST (Lake.spell does TIMEFORMAT 'epochmillisecs'): fields to columns by name, a column without
# a field is NULL, a field without a column is ignored, an object that is gone is an error.
COPY = """
CREATE PROCEDURE copy_avro(p_table IN varchar, p_manifest IN varchar) AS $$
DECLARE rows text;
BEGIN
    SELECT string_agg(pg_read_file(replace(e ->> 'url', 's3://staging', '{folder}') || '.rows'), E'\n') INTO rows
    FROM jsonb_array_elements(pg_read_file(replace(p_manifest, 's3://staging', '{folder}'))::jsonb -> 'entries') AS e;
    EXECUTE format($f$
        INSERT INTO %I SELECT p.* FROM unnest(string_to_array($1, E'\n')) AS line
        CROSS JOIN LATERAL jsonb_populate_record(NULL::%I, line::jsonb) AS p
    $f$, p_table, p_table) USING rows;
END;
$$ LANGUAGE plpgsql;
CREATE PROCEDURE copy_csv(p_table IN varchar, p_url IN varchar) AS $$
BEGIN
    EXECUTE format('COPY %I FROM %L (FORMAT csv, HEADER)', p_table, replace(p_url, 's3://staging', '{folder}'));
END;
$$ LANGUAGE plpgsql;
"""


@cache
def server() -> "Server":
    """One for the whole run."""
    return Server()


class Server:
    """A PostgreSQL of its own in a temporary folder, gone with the process."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
        self.bin = pathlib.Path(found[-1])
        if not (self.bin / "initdb").exists():
            raise RuntimeError("no PostgreSQL: run scripts/setup.sh --for downstream")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="downstream-"))
        self.folder.chmod(0o755)
        self.as_user = []
        if os.geteuid() == 0:  # initdb refuses root
            shutil.chown(self.folder, "postgres", "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", self.folder / "pg", "-A", "trust", "-U", "loader", "-E", "UTF8", "--locale=C.UTF-8")
        with (self.folder / "pg" / "postgresql.conf").open("a") as conf:
            conf.write(f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\n"
                       "fsync=off\nsynchronous_commit=off\nfull_page_writes=off\ntimezone='UTC'\nmax_wal_size='2GB'\njit=off\nautovacuum=off\n")
        self._run("pg_ctl", "-D", self.folder / "pg", "-w", "-l", self.folder / "pg.log", "start")
        atexit.register(self.stop)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run that is cut off stops its server, too
        self.databases = 0

    def _run(self, program, *arguments):
        subprocess.run([*self.as_user, self.bin / program, *map(str, arguments)], check=True, cwd="/",
                       stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """Stops it and removes the folder."""
        self._run("pg_ctl", "-D", self.folder / "pg", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="loader", dbname=database, autocommit=True)

    def create(self, template: str) -> str:
        """A database like `template`; returns its name."""
        self.databases += 1
        name = f"w{self.databases}"
        with self.connect("postgres") as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def folder_for(self, what: str) -> pathlib.Path:
        """A folder that the server can read."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix=what, dir=self.folder))
        folder.chmod(0o755)
        return folder


@cache
def installed() -> str:
    """A database with everything of downstream/redshift, empty."""
    name = server().create("template0")
    with server().connect(name) as database:
        database.execute(translate.SHIM)
        for file in translate.FILES:
            for statement in translate.statements((translate.SQL / file).read_text()):
                database.execute(translate.to_postgres(statement))
    return name


class Warehouse:
    """A database over a lake."""

    def __init__(self, lake: Lake, template: str | None = None):
        self.lake = lake
        self.name = server().create(template or installed())
        self.connection = server().connect(self.name)
        self.loads = 0
        self.connection.execute("DROP PROCEDURE IF EXISTS copy_avro; DROP PROCEDURE IF EXISTS copy_csv")
        self.connection.execute(COPY.format(folder=lake.folder))

    def close(self) -> None:
        self.connection.close()

    def drop(self) -> None:
        """Closes it and removes the database."""
        self.close()
        with server().connect("postgres") as admin:
            admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    def rows(self, sql: str, *values) -> list:
        """Rows as tuples."""
        return self.connection.execute(sql, values or None).fetchall()

    def dicts(self, sql: str) -> list:
        """Rows as dictionaries."""
        with self.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(sql).fetchall()

    def list_objects(self, prefix: str = "topics/") -> list:
        """manifests.py over the lake, its folder in place, load_listing; returns the hours."""
        out = self.lake.folder / "manifests"
        listing = self.lake.listing(prefix)
        done = subprocess.run(
            [sys.executable, translate.SQL / "manifests.py", out, "--bucket", self.lake.name],
            input=listing, capture_output=True, text=True, check=True)
        self.connection.execute("CALL load_listing('s3://staging/manifests/objects.csv')")
        return done.stdout.splitlines()

    def load(self, hours) -> None:
        """load_hour of each; statistics as Redshift keeps them by itself."""
        for hour in hours:
            self.connection.execute("CALL load_hour(%s, 's3://staging/manifests')", (hour,))
            self.loads += 1
            if self.loads % 25 == 1:
                self.connection.execute("ANALYZE")

    def load_everything(self) -> list:
        """Lists and loads all hours; returns them."""
        hours = self.list_objects()
        self.load(hours)
        return hours

    def content(self) -> dict:
        """Every table that a load fills, without when it was loaded."""
        def table(name, order):
            kept = "to_jsonb(t) - 'loaded_at'"
            return self.rows(f"SELECT {kept} FROM {name} AS t ORDER BY {order}")
        return {
            "conversation_events": table("conversation_events", "event_id"),
            "event_offsets": table("event_offsets", "kafka_partition, kafka_offset"),
            "coverage_certificates": table("coverage_certificates", "kafka_partition, kafka_offset"),
            "gap_records": table("gap_records", "kafka_partition, kafka_offset"),
        }
