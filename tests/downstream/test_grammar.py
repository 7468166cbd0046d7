"""The SQL files by Redshift's grammar, and their columns by the schemas."""

import json
import re
import unittest
from functools import cache

from sqlfluff.core import FluffConfig, Linter

import translate
from lake import HERE

SCHEMAS = HERE.parents[1] / "schemas"
TABLES = {"events": "conversation_event", "certificates": "coverage_certificate", "gaps": "gap_record"}
SINK = ["kafka_partition", "kafka_offset"]


@cache
def linter():
    return Linter(config=FluffConfig(overrides={"dialect": "redshift", "rules": "CP01"}))


def refusals(sql: str) -> list:
    """What the grammar does not take."""
    found = linter().lint_string(sql).get_violations()
    return [(error.line_no, error.desc()) for error in found if error.rule_code() == "PRS"]


def bodies(text: str) -> list:
    """The SQL statements inside of procedures, without what belongs to the language around them."""
    found = []
    for body in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL):
        for statement in translate.statements(body.split("BEGIN", 1)[1]):
            if re.match(r"(INSERT|DELETE|MERGE|LOCK|CALL)\b", statement):
                found.append(statement)
    return found


def columns(table: str) -> list:
    """Names of a table's columns in their order."""
    text = "".join((translate.SQL / name).read_text() for name in ("tables.sql", "staging.sql"))
    inside = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \(\n(.*?)\n\)", text, re.DOTALL)[1]
    return [line.split()[0] for line in inside.splitlines()]


class Grammar(unittest.TestCase):
    def test_every_file_is_redshifts_sql(self):
        for path in sorted(translate.SQL.glob("*.sql")):
            with self.subTest(path.name):
                self.assertEqual(refusals(path.read_text()), [])

    def test_every_statement_inside_a_procedure_is_redshifts_sql(self):
        found = [s for path in sorted(translate.SQL.glob("*.sql")) for s in bodies(path.read_text())]
        self.assertGreater(len(found), 15)
        for statement in found:
            with self.subTest(statement[:60]):
                self.assertEqual(refusals(statement + ";"), [])

    def test_the_copy_statements_are_redshifts_sql(self):
        text = (translate.SQL / "copy.sql").read_text()
        found = re.findall(r"EXECUTE (.*?);\n", text, re.DOTALL)
        self.assertEqual(len(found), 2)
        for made in found:
            made = re.sub(r"quote_ident\(\w+\)", "'staged_events'", made)
            made = re.sub(r"quote_literal\(\w+\)", "'''s3://b/k'''", made)
            parts = re.findall(r"'((?:[^']|'')*)'", made)
            self.assertEqual(refusals("".join(parts).replace("''", "'") + ";"), [])

    def test_a_planted_mistake_is_refused(self):
        text = (translate.SQL / "tables.sql").read_text()
        self.assertTrue(refusals(text.replace("DISTSTYLE KEY", "DISTSTYLE KEYS")))
        self.assertTrue(refusals("MERGE INTO a USING b ON a.x = b.x WHEN MATCHED UPDATE SET y = b.y;"))

    def test_staging_tables_have_the_fields_of_the_schemas_and_what_the_sink_adds(self):
        for role, name in TABLES.items():
            fields = [field["name"] for field in json.loads((SCHEMAS / f"{name}.avsc").read_text())["fields"]]
            kept = [field for field in fields if field != "payload"]
            self.assertEqual(columns(f"staged_{role}"), kept + SINK, role)

    def test_tables_have_the_columns_of_their_staging_table_and_when_they_were_loaded(self):
        pairs = [("conversation_events", "staged_events"), ("coverage_certificates", "staged_certificates"),
                 ("gap_records", "staged_gaps"), ("quarantined_messages", "staged_quarantine")]
        for table, staged in pairs:
            self.assertEqual(columns(table), columns(staged) + ["loaded_at"], table)


if __name__ == "__main__":
    unittest.main()
