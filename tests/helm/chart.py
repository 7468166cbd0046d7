"""The chart as Helm's own engine sees it, and what every test here shares."""

import copy
import functools
import pathlib

import helm_python
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "helm/trunkline"
GOLDEN = pathlib.Path(__file__).parent / "golden"
CI = sorted(FOLDER.glob("ci/*-values.yaml"))

# What was looked at, by check; the runner prints it.
report: dict[str, str] = {}


@functools.cache
def chart():
    return helm_python.Chart.load(str(FOLDER))


def name_of(path: pathlib.Path) -> str:
    return path.name.removesuffix("-values.yaml")


def values(name: str = "minimal") -> dict:
    """The values of a file under ci/, as a copy."""
    return helm_python.values_from_yaml((FOLDER / f"ci/{name}-values.yaml").read_text())


def set_at(tree: dict, path: str, value) -> dict:
    """Puts a value at a path such as `config.kafka.linger_ms` or `credentials.genesys.clients.0.idKey`."""
    tree = copy.deepcopy(tree)
    at, keys = tree, path.split(".")
    for key in keys[:-1]:
        at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
    at[int(keys[-1]) if isinstance(at, list) else keys[-1]] = value
    return tree


def render(tree: dict) -> dict[str, str]:
    """Templates that give something, by file name; NOTES.txt is among them."""
    texts = chart().render(tree, name="release", namespace="streaming")
    prefix = "trunkline/templates/"
    return {path.removeprefix(prefix): text for path, text in texts.items() if text.strip()}


def objects(tree: dict) -> list[dict]:
    texts = {path: text for path, text in render(tree).items() if path != "NOTES.txt"}
    return [item for _, text in sorted(texts.items()) for item in yaml.load_all(text, yaml.CSafeLoader) if item]


def refusal(tree: dict) -> str | None:
    """What Helm says against these values; None when it renders them."""
    try:
        chart().render(tree, name="release", namespace="streaming")
    except helm_python.HelmError as error:
        return str(error)
    return None


def find(tree: dict, kind: str) -> dict:
    return next(item for item in objects(tree) if item["kind"] == kind)


def container(tree: dict) -> dict:
    return find(tree, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
