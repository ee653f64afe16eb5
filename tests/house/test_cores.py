"""Cores hold rules and nothing else: what they import is listed here, and each entry is a decision."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = {
    "__future__", "abc", "array", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "math", "operator", "re", "struct", "types",
    "typing", "zoneinfo",
    "numpy", "sortedcontainers",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}


@pytest.fixture(params=["ems_service", "paper_broker", "broker_adapters/fix"])
def core(request: pytest.FixtureRequest) -> Path:
    """The folder of a core, once for each."""
    return ROOT / str(request.param) / "core"


def test_a_core_imports_rules_only(core: Path) -> None:
    own = ".".join(core.relative_to(ROOT).parts)
    assert (core / "__init__.py").exists()
    foreign = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in core.rglob("*.py")
        for module in _imported(path)
        if module.partition(".")[0] not in PURE and module != own and not module.startswith(f"{own}.")
    ]
    assert foreign == []


def test_a_core_asks_no_clock(core: Path) -> None:
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno} .{node.func.attr}()"
        for path in core.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert asked == []


def _imported(path: Path) -> Iterator[str]:
    package = ".".join(path.parent.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, level=level):
                yield resolve_name("." * level + (module or ""), package)
            case _:
                pass
