"""The vectors that fix what an identity is, checked by the independent reader's own derivation."""

import json
import sys
import unittest

from harness import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from verifier.bodies import canonical, digest, identity  # noqa: E402


class Identity(unittest.TestCase):
    def test_every_vector_has_its_identity_and_its_digest(self):
        vectors = json.loads((ROOT / "tests" / "fixtures" / "ids.json").read_text())
        self.assertGreaterEqual(len(vectors), 12)
        for vector in vectors:
            with self.subTest(vector["what"]):
                found = identity(vector["org"], vector["topic"], canonical(vector["body"])), digest(canonical(vector["body"]))
                self.assertEqual(found, (vector["event_id"], vector["body_digest"]))


if __name__ == "__main__":
    unittest.main()
