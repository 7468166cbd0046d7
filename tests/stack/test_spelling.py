"""Schemas name their keys in the order in which Avro for Java writes them; the live tests ask Java itself."""

import json
import pathlib
import unittest

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
ORDERS = {
    "record": ("type", "name", "namespace", "doc", "fields"),
    "field": ("name", "type", "doc", "default"),
    "array": ("type", "items"),
    "map": ("type", "values"),
    "logical": ("type", "logicalType"),
}


def nodes(tree):
    """Every object of a schema, and what it is."""
    if isinstance(tree, list):
        for part in tree:
            yield from nodes(part)
    elif isinstance(tree, dict):
        kind = "logical" if "logicalType" in tree else tree["type"] if "name" not in tree or "fields" in tree else "field"
        yield kind, tree
        for key in ("type", "items", "values", "fields"):
            yield from nodes(tree.get(key))


class Spelling(unittest.TestCase):
    def test_keys_are_in_the_order_of_avro_for_java(self):
        for path in sorted(SCHEMAS.glob("*.avsc")):
            for kind, node in nodes(json.loads(path.read_text())):
                order = ORDERS.get(kind)
                self.assertIsNotNone(order, f"{path.name}: a shape whose order nobody looked up: {node}")
                self.assertEqual([key for key in order if key in node], list(node), f"{path.name}: {node.get('name')}")

    def test_a_namespace_is_not_said_again_within_itself(self):
        for path in sorted(SCHEMAS.glob("*.avsc")):
            _, *inner = nodes(json.loads(path.read_text()))
            self.assertFalse([node for kind, node in inner if "namespace" in node], path.name)


if __name__ == "__main__":
    unittest.main()
