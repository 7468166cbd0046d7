"""Redshift SQL as PostgreSQL: sqlglot, and what it does not know of SUPER.

Procedures are taken as they are: their language is the same, and they avoid what only Redshift has.
"""

import pathlib
import re

import sqlglot
from sqlglot import exp

SQL = pathlib.Path(__file__).parents[2] / "downstream" / "redshift"
FILES = ("tables.sql", "staging.sql", "conversations.sql", "certificates.sql", "missing.sql", "completeness.sql",
         "hours_to_reload.sql", "load_proof.sql", "load_hour.sql")
"""In the order in which they are installed; copy.sql has a stand-in."""
TABLE_PROPERTIES = (exp.DistKeyProperty, exp.DistStyleProperty, exp.SortKeyProperty)
SHIM = """
CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS $$ SELECT clock_timestamp() AT TIME ZONE 'UTC' $$;
CREATE FUNCTION from_base(digits text, base int) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT ('x' || lpad(digits, 16, '0'))::bit(64)::bigint $$;
"""


def statements(text: str) -> list:
    """The statements of a file; a procedure is one."""
    text = re.sub(r"--[^\n]*", "", text)
    parts = re.findall(r"(?:\$\$.*?\$\$|'[^']*'|[^;'])+", text, re.DOTALL)
    return [part.strip() for part in parts if part.strip()]


def to_postgres(sql: str) -> str:
    """One statement."""
    if "$$" in sql:
        return sql
    tree = sqlglot.parse_one(sql, read="redshift")
    if isinstance(tree, exp.Command):
        raise ValueError(f"no PostgreSQL equal: {tree.this}")
    for select in tree.find_all(exp.Select):
        unnest(select)
    tree = tree.transform(plain)
    properties = tree.args.get("properties")
    if isinstance(tree, exp.Create) and properties is not None and not properties.expressions:
        tree.set("properties", None)
    return tree.sql(dialect="postgres")


def plain(node):
    """Without what PostgreSQL lacks; SUPER is jsonb."""
    if isinstance(node, TABLE_PROPERTIES):
        return None
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.SUPER:
        return exp.DataType.build("jsonb")
    return node


def unnest(select) -> None:
    """`FROM t AS a, a.list AS b` and paths below `b`, as Redshift reads them."""
    items = set()
    for join in select.args.get("joins") or []:
        if isinstance(join.this, exp.Unnest):
            source, name = join.this.expressions[0], join.this.args["alias"].columns[0].name
            rows = f"SELECT 1 FROM x CROSS JOIN LATERAL jsonb_array_elements({path_sql(source, items)}) AS {name}(item)"
            items.add(name)
            join.replace(sqlglot.parse_one(rows, read="postgres").args["joins"][0])
    if not items:
        return
    for cast in list(select.find_all(exp.Cast)):
        if any(root(column, items) for column in cast.find_all(exp.Column)):
            cast.set("this", sqlglot.parse_one(f"({path_sql(cast.this, items)}) #>> '{{}}'", read="postgres"))
    for column in list(select.find_all(exp.Column)):
        if column.parent and root(column, items):
            column.replace(sqlglot.parse_one(path_sql(column, items), read="postgres"))


def root(node, items: set) -> bool:
    """Whether this path begins with an unnested item."""
    names = steps(node)
    return names[0] in items and names[1:2] != ["item"]  # what is translated already has the item's name


def steps(node) -> list:
    """A path as its names."""
    return [part.name for part in node.parts]


def path_sql(node, items: set) -> str:
    """An expression over paths, in PostgreSQL."""
    if isinstance(node, exp.Coalesce):
        return f"COALESCE({', '.join(path_sql(part, items) for part in [node.this, *node.expressions])})"
    if isinstance(node, exp.Column):
        names = steps(node)
        if names[0] in items:
            return " -> ".join([f"{names[0]}.item"] + [f"'{name}'" for name in names[1:]])
    return node.sql(dialect="postgres")
