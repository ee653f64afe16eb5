"""Each race on the page of linked orders is a test over sockets, and each such test a race."""

import ast
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_race_is_a_test_and_every_test_a_race() -> None:
    races = runpy.run_path(str(ROOT / "docs" / "linked_page.py"))["RACES"]
    module = ast.parse((ROOT / "tests" / "acceptance" / "test_linked_orders.py").read_text())
    tests = [node.name for node in module.body if isinstance(node, ast.AsyncFunctionDef)]
    assert sorted(f"test_{race.test}" for race in races) == sorted(name for name in tests if name.startswith("test_"))
