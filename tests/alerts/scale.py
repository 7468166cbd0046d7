"""The shipped rules with every waiting time and window divided, so that a minute's run shows what an hour shows.

Divided are `for`, ranges and offsets. Thresholds stay as they are, with one exception where it is asked for: ages of an hour and more,
which nobody can wait for, in a run whose process divides its own hours by the same number (`TRUNKLINE_TEST_SCALE`).

Left out is the group of budgets: a budget of minutes says nothing of one of hours, and promtool has all of it.
"""

import pathlib
import re

import yaml

RULES = pathlib.Path(__file__).resolve().parents[2] / "helm/trunkline/rules/trunkline.yaml"
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
# a duration where PromQL has one: behind `[`, or behind `offset`
DURATION = re.compile(r"(\[|\boffset )(\d+(?:ms|[smhdw]))")
# seconds an age is held against, in an expression that asks for the time
AGE = re.compile(r"([<>] )(\d+)(?: \* (\d+))?\b")


def divided(duration: str, by: int) -> str:
    """`15m` by 60 is `15000ms`."""
    number, unit = re.fullmatch(r"(\d+)(ms|[smhdw])", duration).groups()
    thousandths = int(number) * UNITS[unit]
    if thousandths % by:
        raise ValueError(f"{duration} cannot be divided by {by} in whole milliseconds")
    return f"{thousandths // by}ms"


def expression(expr: str, by: int, ages: int = 1) -> str:
    """The expression with its windows divided; and with ages of an hour and more divided by `ages`."""
    def age(found: re.Match) -> str:
        seconds = int(found[2]) * int(found[3] or 1)
        return found[1] + str(seconds // ages) if seconds >= 3_600 else found[0]

    expr = DURATION.sub(lambda found: found[1] + divided(found[2], by), expr)
    return AGE.sub(age, expr) if ages > 1 and "time()" in expr else expr


def shipped() -> dict:
    tree = yaml.safe_load(RULES.read_text())
    return {**tree, "groups": [group for group in tree["groups"] if group["name"] != "trunkline-slo"]}


def rules() -> list[dict]:
    return [rule for group in shipped()["groups"] for rule in group["rules"]]


def scaled(by: int, ages: int = 1) -> dict:
    """The file of rules as a Prometheus of the test loads it."""
    tree = shipped()
    for rule in (rule for group in tree["groups"] for rule in group["rules"]):
        rule["expr"] = expression(rule["expr"], by, ages)
        if "for" in rule:
            rule["for"] = divided(rule["for"], by)
    return tree
