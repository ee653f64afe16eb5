"""The Makefile stays short enough to be read before it is run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISED = {"demo", "test", "chaos", "check", "protos", "up", "down"}
RECIPE_LINES_MAX = 5


def test_promised_targets_exist() -> None:
    promised = PROMISED | ({"bench"} if (ROOT / "bench").exists() else set[str]())
    assert promised <= _recipes().keys()


def test_recipes_have_at_most_five_lines() -> None:
    long = {target: len(lines) for target, lines in _recipes().items() if len(lines) > RECIPE_LINES_MAX}
    assert long == {}


def _recipes() -> dict[str, list[str]]:
    recipes: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (ROOT / "Makefile").read_text().splitlines():
        if line.startswith("\t"):
            lines.append(line)
        elif rule := re.match(r"([^\s#:=]+)\s*:(?!=)", line):
            lines = recipes.setdefault(rule[1], [])
    return recipes
