"""The CloudFormation template: cfn-lint's rules, and that each may do what its files do and no more."""

import json
import pathlib
import subprocess
import sys
import unittest

from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "aws" / "staging.yaml"


class Template(unittest.TestCase):
    def setUp(self):
        self.resources = cfn_yaml.load(str(TEMPLATE))["Resources"]

    def allowed(self, name: str) -> dict:
        """What a policy or role allows: actions by path in the bucket, `` for the bucket itself."""
        properties = self.resources[name]["Properties"]
        documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else [p["PolicyDocument"] for p in properties["Policies"]]
        found = {}
        for statement in (s for document in documents for s in document["Statement"] if "Effect" in s):
            actions, resources = statement["Action"], statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                path = resource["Fn::Sub"].removeprefix("${Bucket.Arn}/") if "Fn::Sub" in resource else ""
                found.setdefault(path, set()).update([actions] if isinstance(actions, str) else actions)
        return found

    def test_cfn_lint_finds_nothing(self):
        run = subprocess.run([pathlib.Path(sys.executable).with_name("cfn-lint"), "--regions", "us-east-1", "eu-central-1", "--", TEMPLATE], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_nobody_may_do_anything_everywhere(self):
        for name in ("SinkPolicy", "LoaderPolicy", "RedshiftRole", "GlueRole"):
            for path, actions in self.allowed(name).items():
                self.assertFalse([a for a in actions if "*" in a], f"{name} {path}")
                self.assertNotEqual(path, "*", name)

    def test_the_sink_writes_where_connectors_write_and_deletes_nothing(self):
        allowed = self.allowed("SinkPolicy")
        folders = {json.loads(p.read_text()).get("topics.dir", "topics") for p in (ROOT / "deploy" / "connect" / "s3").glob("*.json")}
        self.assertEqual({f"{folder}/*" for folder in folders}, set(allowed) - {""})
        self.assertNotIn("s3:DeleteObject", set().union(*allowed.values()))

    def test_the_loader_writes_manifests_and_reads_no_event(self):
        self.assertEqual(self.allowed("LoaderPolicy"), {"": {"s3:ListBucket"}, "manifests/*": {"s3:PutObject"}})
        script = (ROOT / "downstream" / "redshift" / "load.sh").read_text()
        self.assertIn("MANIFESTS:-manifests", script)
        self.assertIn("PREFIX:-topics", script)

    def test_redshift_reads_what_is_staged_and_listed(self):
        allowed = self.allowed("RedshiftRole")
        self.assertEqual({path for path, actions in allowed.items() if "s3:GetObject" in actions}, {"topics/*", "manifests/*"})
        self.assertNotIn("s3:PutObject", set().union(*allowed.values()))

    def test_the_glue_job_may_touch_what_its_arguments_name(self):
        arguments = self.resources["GlueJob"]["Properties"]["DefaultArguments"]
        of = lambda key: arguments[key]["Fn::Sub"].removeprefix("s3://${BucketName}/").split("/")[0] + "/*"
        allowed = self.allowed("GlueRole")
        for key in ("--source", "--schema", "--extra-py-files"):
            self.assertIn("s3:GetObject", allowed[of(key)], key)
        for key in ("--target", "--notes"):
            self.assertLessEqual({"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}, allowed[of(key)], key)
        entry = (ROOT / "downstream" / "glue" / "glue_entry.py").read_text()
        for key in arguments:
            self.assertIn(key, entry)


if __name__ == "__main__":
    unittest.main()
