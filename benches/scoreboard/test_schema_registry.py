"""The registry, as clients use it."""

import json
import unittest
import urllib.error
import urllib.request

from registry import Registry


def ask(url: str, body: dict | None = None):
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=5) as answer:
        return json.load(answer)


class Stub(unittest.TestCase):
    def setUp(self):
        self.registry = Registry()
        self.addCleanup(lambda: self.registry.stop())

    def test_one_schema_has_one_id_under_every_subject_and_another_has_another(self):
        url = self.registry.url
        pairs = (("a", '"int"'), ("b", '"int"'), ("a", '"long"'))
        ids = [ask(f"{url}/subjects/{subject}/versions", {"schema": schema})["id"] for subject, schema in pairs]
        self.assertEqual(ids, [1, 1, 2])
        self.assertEqual(ask(f"{url}/subjects/a/versions/latest"), {"subject": "a", "version": 2, "id": 2, "schema": '"long"'})
        self.assertEqual(ask(f"{url}/subjects/a/versions"), [1, 2])
        self.assertEqual(ask(f"{url}/schemas/ids/1"), {"schema": '"int"'})
        self.assertEqual(ask(f"{url}/subjects/a", {"schema": '"int"'})["version"], 1)

    def test_what_nobody_registered_is_not_there(self):
        for path in ("/subjects/a/versions/latest", "/schemas/ids/1", "/subjects/a/versions"):
            with self.subTest(path), self.assertRaises(urllib.error.HTTPError) as refused:
                ask(self.registry.url + path)
            self.assertEqual(refused.exception.code, 404)
            refused.exception.close()

    def test_while_it_is_away_nobody_answers_and_afterwards_it_knows_what_it_knew(self):
        self.registry.register("a", '"int"')
        self.registry.stop()
        with self.assertRaises(OSError):
            ask(self.registry.url + "/subjects")
        self.registry.start()
        self.assertEqual(ask(self.registry.url + "/subjects"), ["a"])


if __name__ == "__main__":
    unittest.main()
