"""Parts of a release that are made before anything is built: versions, notes, archives, checksums."""

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from release import parts  # noqa: E402


class Parts(unittest.TestCase):
    def test_crate_and_chart_have_one_version_and_a_tag_has_to_agree(self):
        version = parts.version()
        self.assertEqual(parts.version(f"v{version}"), version)
        with self.assertRaisesRegex(ValueError, rf"versions differ: Cargo.toml has {version}, .*, the tag has 9.9.9"):
            parts.version("v9.9.9")

    def test_notes_are_the_section_of_the_version_or_what_is_unreleased(self):
        changes = "# Changes\n\n## Unreleased\n\n- new [one](docs/a.md#b)\n\n## 0.2.0 (2026-11-01)\n\n- second, see [here](https://e.org)\n\n## 0.1.0\n\n- first\n"
        self.assertEqual(parts.notes(changes, "0.2.0"), "- second, see [here](https://e.org)\n")
        self.assertEqual(parts.notes(changes, "0.1.0"), "- first\n")
        self.assertEqual(parts.notes(changes, "0.3.0"), "- new [one](https://github.com/trunkline/trunkline/blob/v0.3.0/docs/a.md#b)\n")
        with self.assertRaisesRegex(ValueError, "neither a section 1.0.0 nor"):
            parts.notes("# Changes\n\n## Unreleased\n\n## 0.1.0\n\n- first\n", "1.0.0")
        self.assertGreater(len(parts.notes((ROOT / "CHANGELOG.md").read_text(), parts.version())), 200)

    def test_two_archives_of_the_same_are_the_same_and_checksums_notice_another(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            files = {"a/trunkline": (b"program", 0o755), "a/LICENSE": (b"text", 0o644)}
            one = parts.archive(folder / "one.tar.gz", files, 1_700_000_000)
            two = parts.archive(folder / "two.tar.gz", dict(reversed(files.items())), 1_700_000_000)
            self.assertEqual(one.read_bytes(), two.read_bytes())
            with tarfile.open(one) as tar:
                self.assertEqual([(entry.name, entry.mode, entry.uid) for entry in tar], [("a/LICENSE", 0o644, 0), ("a/trunkline", 0o755, 0)])
            parts.checksums(folder)
            check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
            self.assertEqual(subprocess.run(check, cwd=folder, capture_output=True).returncode, 0)
            one.write_bytes(b"else")
            self.assertEqual(subprocess.run(check, cwd=folder, capture_output=True).returncode, 1)

    def test_wrong_words_are_answered_by_name(self):
        for words, code, said in ((["a", "b"], 64, "usage: make release-dry-run"), (["v9.9.9"], 65, "the tag has 9.9.9")):
            done = subprocess.run([sys.executable, "-m", "release", *words], cwd=ROOT / "scripts", capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
