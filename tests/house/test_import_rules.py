"""Every package is under the rules of who may import whom: import-linter sees only those that it is told of."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOTS = (ROOT, ROOT / "protos" / "python", ROOT / "clients" / "python", ROOT / "clients" / "cli")


def test_import_linter_knows_every_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {init.parent.name for root in ROOTS for init in root.glob("*/__init__.py")}
    assert packages == set(settings["root_packages"])
